//! Who may have which session, and who shows to be the holder of a token.

use stoq_core::session::IncomingRequest;

use super::*;

impl Driver {
    /// What the client asks for, and what it may do there: nothing is said of that if the service wants no token.
    ///
    /// # Errors
    /// It has been refused.
    pub(super) fn admit(
        &mut self,
        request: &mut IncomingRequest,
        service: ServiceName,
    ) -> Result<Asked, ()> {
        let (rules, now) = (self.access.borrow().clone(), self.now());
        let access_tokens = core::mem::take(&mut request.access_tokens);
        let verifications = &mut self.verifications;
        let judge = |rules: &Arc<AccessRules>| {
            rules.judge_within(&service, &access_tokens, || verifications.spend(now))
        };
        let judged = rules.as_ref().map(judge).transpose();
        match judged {
            Ok(access) => Ok(Asked {
                service,
                access: access.flatten(),
                access_tokens,
                rules,
            }),
            Err(error) => {
                self.refuse(request.id, &error);
                Err(())
            }
        }
    }

    fn refuse(&mut self, id: SessionId, error: &AccessError) {
        let now = self.now();
        let (code, reason) = (error.code(), error.to_string());
        tracing::debug!(peer = %self.quinn.remote_address(), %reason, "access refused");
        self.endpoint.access_refusals.count(code);
        self.machine.refuse(now, id, code, &reason, &mut self.out);
    }

    /// Takes a session, if the rules of this moment let it in.
    pub(super) fn accept(
        &mut self,
        id: SessionId,
        mut answer: Answer,
        mut waiting: Waiting,
        asked: &Asked,
    ) {
        match self.judge_asked(asked) {
            Ok(access) => waiting.access = access,
            Err(error) => {
                let closed = Closed::local(error.code(), error.to_string());
                self.refuse(id, &error);
                return waiting.refused(closed);
            }
        }
        answer.holder = waiting.access.as_ref().and_then(Access::holder);
        let (now, before) = (self.now(), self.out.len());
        self.machine.accept(now, id, &answer, &mut self.out);
        if self.out.len() == before {
            let reason = "the client no longer wants the session";
            return waiting.refused(Closed::peer(Code::CANCELLED, reason));
        }
        self.waiting.insert(id, Box::new(waiting));
    }

    /// Other rules hold: sessions whose token is revoked, or by an issuer who is trusted no longer, are closed.
    pub(super) fn judge_again(&mut self) {
        // So that later changes are seen; the rules are read where they are needed.
        drop(self.access.borrow_and_update());
        let open = self.sessions.iter();
        let open = open.filter_map(|(id, session)| Some((*id, session.access.as_ref()?)));
        let waiting = self.waiting.iter();
        let waiting = waiting.filter_map(|(id, waiting)| Some((*id, waiting.access.as_ref()?)));
        let refused: Vec<_> = open
            .chain(waiting)
            .filter_map(|(id, access)| Some((id, self.recheck(Some(access)).err()?)))
            .collect();
        for (id, error) in refused {
            let (code, reason) = (error.code(), error.to_string());
            self.endpoint.access_refusals.count(code);
            if let Some(waiting) = self.waiting.remove(&id) {
                waiting.refused(Closed::local(code, reason.clone()));
            }
            match id {
                SessionId::ZERO => self.close_connection(code, &reason),
                id => self.close_session(id, code, &reason),
            }
        }
    }

    /// What the client may do. It is judged once more if other rules hold than when it asked: the service may want a token now, or
    /// another permission, as well as the token may be good no longer.
    fn judge_asked(&self, asked: &Asked) -> Result<Option<Access>, AccessError> {
        let rules = self.access.borrow().clone();
        let same = match (&rules, &asked.rules) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            (now, then) => now.is_none() && then.is_none(),
        };
        match rules {
            Some(rules) if !same => rules.judge(&asked.service, &asked.access_tokens),
            Some(_) => Ok(asked.access.clone()),
            None => Ok(None),
        }
    }

    fn recheck(&self, access: Option<&Access>) -> Result<(), AccessError> {
        match (access, &*self.access.borrow()) {
            (Some(access), Some(rules)) => rules.verifier().recheck(access),
            _ => Ok(()),
        }
    }

    /// A client: shows that it is the holder of a token.
    pub(super) fn prove(&mut self, id: SessionId, hash: &SessionHash, token: &TokenHash) {
        let Some(waiting) = self.waiting.get(&id) else {
            return;
        };
        let key = waiting.proofs.iter().find(|(proven, _)| proven == token);
        let (_, key) = key.expect("the machine asks for what it was told of");
        match key.sign(&proof_message(token, hash)) {
            Ok(proof) => self.machine.prove(id, token, &proof, &mut self.out),
            Err(error) => {
                let (code, reason) = (Code::INTERNAL, error.to_string());
                match (id, self.waiting.remove(&id).map(|waiting| *waiting)) {
                    (SessionId::ZERO, Some(waiting)) => {
                        waiting.refused(Closed::local(code, &reason));
                        self.close_connection(code, &reason);
                    }
                    (
                        _,
                        Some(Waiting {
                            reply: Reply::Open(reply),
                            ..
                        }),
                    ) => {
                        let _ = reply.send(Err(OpenError::NotProven(error)));
                        self.close_session(id, code, &reason);
                    }
                    _ => {}
                }
            }
        }
    }

    /// A server: nobody has shown to be the holder of the token.
    pub(super) fn on_unproven(&mut self, id: SessionId, code: Code, reason: &str) {
        tracing::debug!(peer = %self.quinn.remote_address(), reason, "access refused");
        self.endpoint.access_refusals.count(code);
        if let Some(waiting) = self.waiting.remove(&id) {
            waiting.refused(Closed::local(code, reason));
        }
    }

    /// A relay: something to pass on. Who is none does not look for it.
    pub(super) fn on_auth(&mut self, id: SessionId, auth: ForeignAuth) {
        if let Some(session) = self.sessions.get(&id) {
            session.auths.push(auth, 0);
        } else if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.auths.push(auth);
        }
    }
}

impl Waiting {
    /// There will be no session.
    pub(super) fn refused(self, closed: Closed) {
        match self.reply {
            Reply::Accept(reply) => drop(reply.send(Err(closed))),
            Reply::Connect(reply) => drop(reply.send(Err(ConnectError::Lost(closed)))),
            Reply::Open(reply) => drop(reply.send(Err(OpenError::ConnectionClosed(closed)))),
        }
    }
}

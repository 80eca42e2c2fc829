//! The loop that feeds the machine, and the tasks that wait on the carrier for it.

use super::*;

pub(super) struct Driver {
    pub(super) connection: Connection,
    pub(super) control: SendStream,
    pub(super) start: Instant,
    pub(super) orders: mpsc::UnboundedReceiver<Command>,
    pub(super) opened: Option<oneshot::Sender<Result<u32, Failure>>>,
    pub(super) ended: watch::Sender<Option<(Code, String)>>,
    pub(super) pings: Vec<(PingId, oneshot::Sender<()>)>,
    pub(super) streams: Streams,
}

pub(super) struct Streams {
    pub(super) bidirectional: mpsc::UnboundedSender<(SendStream, RecvStream)>,
    pub(super) unidirectional: mpsc::UnboundedSender<RecvStream>,
    pub(super) datagrams: mpsc::UnboundedSender<Bytes>,
    /// Payloads of shards.
    pub(super) shards: mpsc::UnboundedSender<Bytes>,
}

/// What the tasks that wait on the carrier tell the driver.
enum Event {
    Bidirectional(SendStream, RecvStream),
    Unidirectional(RecvStream, StreamHeader),
    Control(Option<Bytes>),
    Datagram(Bytes),
}

impl Driver {
    pub(super) async fn run(mut self, service: ServiceName) {
        let mut out = Vec::new();
        let mut random = [0; 32];
        fastrand::fill(&mut random);
        let mut config = Config::new(Side::Client, random);
        config.service = Some(service);
        let machine = Machine::new(self.now(), config, &mut out);
        let mut machine = machine.expect("nothing is over its bounds");
        let (events, mut arriving) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(self.connection.clone(), events.clone()));
        let end = loop {
            if let Some(end) = self.carry_out(&mut out).await {
                break end;
            }
            let due = machine.next_due();
            let wait = due.map(|due| due.saturating_since(self.now()));
            let now = self.now();
            let handled = tokio::select! {
                // What has arrived counts before the news that nothing more will.
                biased;
                event = arriving.recv() => match event {
                    Some(Event::Control(Some(bytes))) => {
                        machine.handle(self.now(), Input::Control(&bytes), &mut out).map(drop)
                    }
                    Some(Event::Control(None)) => {
                        machine.handle(self.now(), Input::ControlClosed, &mut out).map(drop)
                    }
                    Some(Event::Datagram(bytes)) => {
                        machine.handle(now, Input::Datagram(bytes), &mut out).map(drop)
                    }
                    // A stream of an open session goes to its user; this client is never too early.
                    Some(Event::Bidirectional(send, recv)) => {
                        let _ = self.streams.bidirectional.send((send, recv));
                        Ok(())
                    }
                    Some(Event::Unidirectional(recv, header)) => {
                        let input = Input::Stream { stream: 0, header };
                        let handled = machine.handle(now, input, &mut out).map(drop);
                        match header {
                            StreamHeader::Control => {
                                tasks.spawn(read_control(recv, events.clone()));
                            }
                            StreamHeader::Data { .. } => {
                                let _ = self.streams.unidirectional.send(recv);
                            }
                            StreamHeader::Early | StreamHeader::Unknown(_) => {}
                        }
                        handled
                    }
                    None => break (Code::CONNECTION_LOST, String::new()),
                },
                order = self.orders.recv() => {
                    match order {
                        Some(Command::Ping(answered)) => {
                            if let Ok(id) = machine.ping(now, &mut out) {
                                self.pings.push((id, answered));
                            }
                        }
                        Some(Command::Close(code, reason)) => {
                            machine.close(now, SessionId::ZERO, code, &reason, &mut out);
                        }
                        None => machine.close(now, SessionId::ZERO, Code::NO_ERROR, "", &mut out),
                    }
                    Ok(())
                }
                () = sleep_until_due(wait) => {
                    machine.handle(self.now(), Input::Tick, &mut out).map(drop)
                }
                _ = self.connection.closed() => match machine.handle(now, Input::ControlClosed, &mut out) {
                    Ok(_) => Ok(()),
                    Err(_) => break (Code::CONNECTION_LOST, String::new()),
                },
            };
            if let Err(error) = handled {
                break (error.code(), error.to_string());
            }
        };
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(Err(Failure(end.0)));
        }
        self.ended.send_replace(Some(end));
        self.connection.close(VarInt::from_u32(0), b"");
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.start.elapsed().as_micros() as u64)
    }

    /// The code and reason if the session has ended.
    async fn carry_out(&mut self, out: &mut Vec<Output>) -> Option<(Code, String)> {
        for output in out.drain(..) {
            match output {
                Output::Send(bytes) => {
                    // If this fails the connection has, which the loop will see.
                    let _ = self.control.write_all(&bytes).await;
                }
                Output::Opened {
                    max_datagram_size, ..
                } => {
                    if let Some(opened) = self.opened.take() {
                        let _ = opened.send(Ok(max_datagram_size));
                    }
                }
                Output::Datagram { content, .. } => match Content::decode(content) {
                    Ok(Content::Data(data)) => drop(self.streams.datagrams.send(data)),
                    Ok(Content::Shard(shard)) => drop(self.streams.shards.send(shard)),
                    _ => {}
                },
                Output::Pong { id, .. } => {
                    if let Some(at) = self.pings.iter().position(|(ping, _)| *ping == id) {
                        let _ = self.pings.swap_remove(at).1.send(());
                    }
                }
                Output::Refused { code, reason, .. }
                | Output::Closed { code, reason, .. }
                | Output::CloseCarrier { code, reason } => return Some((code, reason)),
                _ => {}
            }
        }
        None
    }
}

async fn sleep_until_due(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

async fn accept(connection: Connection, events: mpsc::UnboundedSender<Event>) {
    let bidirectional = async {
        while let Ok((send, mut recv)) = connection.accept_bi().await {
            if read_header(&mut recv, Direction::Bidirectional)
                .await
                .is_some()
            {
                let _ = events.send(Event::Bidirectional(send, recv));
            }
        }
    };
    let unidirectional = async {
        while let Ok(mut recv) = connection.accept_uni().await {
            if let Some(header) = read_header(&mut recv, Direction::Unidirectional).await {
                let _ = events.send(Event::Unidirectional(recv, header));
            }
        }
    };
    let datagrams = async {
        while let Ok(datagram) = connection.receive_datagram().await {
            let _ = events.send(Event::Datagram(datagram.payload()));
        }
    };
    tokio::join!(bidirectional, unidirectional, datagrams);
}

async fn read_header(recv: &mut RecvStream, direction: Direction) -> Option<StreamHeader> {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0];
        recv.read_exact(&mut byte).await.ok()?;
        bytes.push(byte[0]);
        if let Some((header, _)) = StreamHeader::decode(&bytes, direction).ok()? {
            return Some(header);
        }
    }
}

async fn read_control(mut recv: RecvStream, events: mpsc::UnboundedSender<Event>) {
    let mut buffer = vec![0; 4_096];
    while let Ok(Some(length)) = recv.read(&mut buffer).await {
        let _ = events.send(Event::Control(Some(Bytes::copy_from_slice(
            &buffer[..length],
        ))));
    }
    let _ = events.send(Event::Control(None));
}

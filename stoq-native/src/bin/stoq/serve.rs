//! `stoq serve`: accept sessions, hand them to their services, drain on a signal.

use crate::access::{Rules, permits};
use crate::arguments::ServeArguments;
use crate::certificates::{self, Summary};
use crate::error::CommandError;
use crate::files::{RequestError, Rights};
use crate::identity::authority;
use crate::signals::Signals;
use crate::store::Store;
use crate::verified::{Reader, Writer};
use crate::{echo, files, terminal};
use core::time::Duration;
use std::path::Path;
use stoq_native::{
    ChannelConfig, ClientPolicy, ClientTrust, Code, Endpoint, FalconId, RecvStream, RotationConfig,
    SendStream, ServerConfig, Session, SessionRequest, TransportConfig, VerifiedRecvStream,
    VerifiedSendStream,
};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Serves until a signal, then drains. Once it can be reached it says `listening on <address> certificate-hash <hex>`, and on
/// the same line ` certificate-hash <hex>` for a second certificate and ` falcon-id <identity>`, if it has them.
///
/// # Errors
/// [`CommandError`] if it cannot start.
pub(crate) async fn run(arguments: ServeArguments) -> Result<(), CommandError> {
    let mut signals = Signals::new().map_err(CommandError::System)?;
    let ServeArguments {
        dir,
        listen,
        quota,
        cert,
        key,
        names,
        renew_after,
        falcon_key,
        grant,
        clients,
        client_authority,
        access,
        issuers,
        revoked,
        transport,
        grace,
    } = arguments;
    // What a user may have got wrong comes before anything is made.
    let transport = transport.get(TransportConfig::default())?;
    let loaded = certificates::source(cert.zip(key), names, falcon_key, grant).load()?;
    let identity = loaded.identity().clone();
    let clients = client_policy(clients, client_authority.as_deref())?;
    let rules = match identity.falcon_id() {
        Some(audience) if !access.is_empty() => {
            Some(Rules::load(&access, audience, &issuers, revoked)?)
        }
        _ => None,
    };
    let opened = spawn_blocking(move || {
        Store::open(&dir, quota.0).map_err(|source| CommandError::Store { dir, source })
    });
    let store = opened
        .await
        .map_err(|failure| CommandError::System(failure.into()))??;
    let summary = Summary(&identity).to_string();
    // Who can sign answers to those who ask on verified streams.
    let signer = identity.falcon_signer();
    let mut config = ServerConfig::new(identity);
    config.transport = transport;
    config.clients = clients;
    config.access = rules.as_ref().map(Rules::get);
    config.framed_streams = signer.is_some();
    let signing = |signer| ChannelConfig::default().signed_by(signer);
    let mut channels = signer.map(signing);
    let endpoint = Endpoint::server(listen, config).map_err(CommandError::Bind)?;
    let address = endpoint.local_addr().map_err(CommandError::System)?;
    let mut rotating = RotationConfig::default();
    rotating.renew_after = renew_after.0;
    let mut rotation = endpoint
        .rotate(loaded, rotating)
        .map_err(CommandError::Rotate)?;
    terminal::say(format_args!("listening on {address}{summary}"))?;

    let mut following = core::pin::pin!(async {
        match rules {
            Some(rules) => rules.follow(&endpoint).await,
            None => core::future::pending().await,
        }
    });
    let draining = CancellationToken::new();
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            signal = signals.next() => {
                info!(?signal, sessions = sessions.len(), "draining");
                break;
            }
            // Where nothing came of it, the library has said so.
            Some(rotated) = rotation.changed() => if let Ok(identity) = rotated {
                info!("certificates:{}", Summary(&identity));
                // New sessions are answered by who the server is now. Access tokens are for who it was at the start.
                channels = identity.falcon_signer().map(signing);
            },
            never = &mut following => match never {},
            Some(_) = sessions.join_next() => {}
            request = endpoint.accept() => {
                let Some(request) = request else { break };
                let services = Services {
                    store: store.clone(),
                    channels: channels.clone(),
                };
                sessions.spawn(session(request, services, draining.clone()));
            }
        }
    }
    draining.cancel();
    tokio::select! {
        () = endpoint.shutdown(Duration::from_secs(grace.into())) => {}
        _ = signals.next() => {
            info!("ending at once");
            endpoint.close(Code::GOING_AWAY, STOPPING);
        }
    }
    // The sessions have ended, and with them their tasks: what was under way is being removed.
    while sessions.join_next().await.is_some() {}
    endpoint.wait_idle().await;
    Ok(())
}

/// Which clients the flags let in.
fn client_policy(
    ids: Vec<FalconId>,
    by_authority: Option<&Path>,
) -> Result<ClientPolicy, CommandError> {
    Ok(match by_authority {
        Some(path) => ClientPolicy::Require(ClientTrust::Authority(authority(path)?)),
        None if ids.is_empty() => ClientPolicy::Off,
        None => ClientPolicy::Require(ClientTrust::Ids(ids.into_iter().collect())),
    })
}

/// What a client reads whose session ends with the server.
const STOPPING: &str = "the server is stopping";

/// What is served.
struct Services {
    store: Store,
    /// How verified streams are answered; none if the server has no FALCON identity, and its QUIC takes none then.
    channels: Option<ChannelConfig>,
}

/// One session, from request to end.
async fn session(request: SessionRequest, services: Services, draining: CancellationToken) {
    let service = request.service().clone();
    let peer = request.remote_address();
    if !["files", "echo"].contains(&service.as_str()) {
        debug!(%peer, service = service.as_str(), "refused");
        request.refuse(
            Code::UNKNOWN_SERVICE,
            "this server has the services files and echo",
        );
        return;
    }
    let Ok(session) = request.accept().await else {
        return;
    };
    debug!(%peer, service = service.as_str(), "session");
    match service.as_str() {
        "files" => serve_files(&session, &services, &draining).await,
        _ => echo::serve(&session, &draining).await,
    }
    // It has ended, or the server has nothing more to do in it.
    session.close(Code::GOING_AWAY, STOPPING);
}

/// Answers the requests of one session.
async fn serve_files(session: &Session, services: &Services, draining: &CancellationToken) {
    let Services { store, channels } = services;
    let config = channels.clone().unwrap_or_default();
    let mut requests = JoinSet::new();
    let rights = Rights {
        read: permits(session, "read"),
        write: permits(session, "write"),
    };
    loop {
        tokio::select! {
            () = draining.cancelled() => break,
            Some(_) = requests.join_next() => {}
            accepted = session.accept_bi() => {
                let Ok((send, receive)) = accepted else { break };
                requests.spawn(serve_request(store.clone(), rights, send, receive));
            }
            accepted = session.accept_verified_bi(&config), if channels.is_some() => {
                let Ok((send, receive)) = accepted else { break };
                requests.spawn(serve_verified(store.clone(), rights, send, receive));
            }
            accepted = session.accept_uni() => {
                let Ok(mut receive) = accepted else { break };
                receive.stop(Code::UNSUPPORTED);
            }
        }
    }
    // Each ends by itself: with its answer, with the session, or because nothing moves.
    while requests.join_next().await.is_some() {}
}

async fn serve_request(
    store: Store,
    rights: Rights,
    mut send: SendStream,
    mut receive: RecvStream,
) {
    match files::answer(&store, rights, &mut receive, &mut send).await {
        // A close of the session would take back what is still on its way.
        Ok(()) => drop(send.stopped().await),
        Err(error) => {
            let code = failed(&error);
            send.reset(code);
            receive.stop(code);
        }
    }
}

/// As [`serve_request`], on a stream whose answer is signed.
async fn serve_verified(
    store: Store,
    rights: Rights,
    send: VerifiedSendStream,
    receive: VerifiedRecvStream,
) {
    let (mut send, mut receive) = (Writer::new(send), Reader::new(receive));
    match files::answer(&store, rights, &mut receive, &mut send).await {
        Ok(()) => drop(send.stopped().await),
        Err(error) => {
            let code = failed(&error);
            send.reset(code).await;
            receive.stop(code);
        }
    }
}

/// What the peer is told of a request that got no whole answer.
fn failed(error: &RequestError) -> Code {
    match error {
        RequestError::Storage(_) => warn!(%error, "request failed"),
        _ => debug!(%error, "request failed"),
    }
    match error {
        RequestError::Stalled => Code::TIMEOUT,
        RequestError::Stream(_) => Code::CANCELLED,
        RequestError::Storage(_) => Code::INTERNAL,
    }
}

//! STOQ's transport parameter on the wire: between our own, with peers that do not know it, and with such as send nonsense.

use std::net::SocketAddr;
use std::sync::Arc;

use stoq_core::varint::VarInt;
use stoq_native::{
    Capabilities, ClientConfig, ClientPolicy, ConnectError, Connection, Endpoint, ParameterError,
    Pins, ServerConfig, Session, Target, TransportParameter,
};

use super::certificates::Time;
use super::rigged::Rigged;
use super::rogue::{
    Always, Key, Schemes, Signs, StockServer, client_tls, connect, connect_with, server_tls,
    settings,
};
use super::table::KNOWN;
use crate::harness::{until, within};

fn tls() -> rustls::ServerConfig {
    let chain = vec![KNOWN.certificate(Time::Now, None, None)];
    server_tls(Arc::new(Always::new(
        chain,
        Key::new(&KNOWN, Signs::Composite),
    )))
}

/// What our client makes of the server at this address.
async fn ours(address: SocketAddr) -> Result<Connection, ConnectError> {
    let pins = Pins::new().pin(&address.to_string(), KNOWN.id()).unwrap();
    let client = Endpoint::client(ClientConfig::new(pins)).unwrap();
    let target: Target = format!("stoq://{address}/").parse().unwrap();
    client.connect_to(&target).await
}

fn server() -> Endpoint {
    let mut config = ServerConfig::new(KNOWN.identity(Time::Now, None));
    config.clients = ClientPolicy::Off;
    Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap()
}

/// What our server makes of a client of quinn that is let in.
async fn accept(server: &Endpoint, client: &quinn::Connection) -> Session {
    let mut control = client.open_uni().await.unwrap();
    control.write_all(&settings(Some("test"))).await.unwrap();
    server.accept().await.unwrap().accept().await.unwrap()
}

fn good() -> TransportParameter {
    TransportParameter {
        version: VarInt::from_u32(1),
        capabilities: Capabilities::FRAMED,
        identity: None,
        token_algorithm: 0,
        max_shard: VarInt::from_u32(0),
    }
}

fn encoded(parameter: &TransportParameter) -> Vec<u8> {
    let mut bytes = Vec::new();
    parameter.encode(&mut bytes);
    bytes
}

/// The parameter's number, a length of two bytes, and this value.
fn raw(value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap() | 0x4000;
    [&[0x80, 0, 0xfe, 0], &length.to_be_bytes()[..], value].concat()
}

/// Whether it is the error that is due.
type Expected = fn(&ParameterError) -> bool;

/// Everything that must be refused, and as what.
fn wrongs() -> Vec<(Vec<u8>, Expected)> {
    use ParameterError::*;
    let once = encoded(&good());
    let value = once[5..].to_vec();
    assert_eq!(TransportParameter::decode(&value), Ok(good()));
    // The same number, in its longest form.
    let longest = [&[0xc0, 0, 0, 0, 0, 0, 0xfe, 0][..], &once[4..]].concat();
    let mut wrongs: Vec<(_, Expected)> = vec![
        ([&once[..], &once].concat(), |error| *error == Duplicate),
        ([&once[..], &longest].concat(), |error| *error == Duplicate),
        (raw(&[0; 65]), |error| matches!(error, TooLong { got: 65 })),
        (raw(&[0; 900]), |error| {
            matches!(error, TooLong { got: 900 })
        }),
        // Bytes behind the last field.
        (raw(&[&value[..], &[0]].concat()), |error| {
            matches!(error, Malformed(_))
        }),
        // Neither with an identity nor without.
        (raw(&[1, 2, 2, 0, 0]), |error| matches!(error, Malformed(_))),
        // A number that is longer than it needs to be.
        (raw(&[0x40, 1, 2, 0, 0, 0]), |error| {
            matches!(error, Malformed(_))
        }),
    ];
    let named = TransportParameter {
        identity: Some(KNOWN.id()),
        ..good()
    };
    let value = encoded(&named)[5..].to_vec();
    // Cut at every place.
    wrongs.extend((0..value.len()).map(|end| {
        let refused: Expected = |error| matches!(error, Malformed(_));
        (raw(&value[..end]), refused)
    }));
    wrongs
}

#[tokio::test]
async fn stock_quinn_as_a_server_says_nothing_of_stoq() {
    within(async {
        let server = StockServer::new(tls());
        let connection = ours(server.address()).await.unwrap();
        let security = connection.security();
        assert_eq!(security.capabilities, None);
        assert_eq!(security.peer, Some(KNOWN.id()));
    })
    .await;
}

#[tokio::test]
async fn stock_quinn_as_a_client_says_nothing_of_stoq() {
    within(async {
        for schemes in [Schemes::Classical, Schemes::WithComposite] {
            let identity = super::certificates::classical(Time::Now, None);
            let identity = identity.with_falcon(KNOWN.identity(Time::Now, None));
            let config = ServerConfig::new(identity);
            let server = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
            let tls = client_tls(None, schemes);
            let client = connect(tls, server.local_addr().unwrap()).await.unwrap();
            let session = accept(&server, &client).await;
            assert_eq!(session.connection().security().capabilities, None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_peers_parameter_is_read_and_ours_is_sent_once() {
    within(async {
        let unknown = TransportParameter {
            // Bits and numbers that this version does not know mean nothing.
            version: VarInt::from_u32(77),
            capabilities: Capabilities(VarInt::from_u32(0x3fff_ffff)),
            identity: Some(KNOWN.id()),
            token_algorithm: 200,
            max_shard: VarInt::from_u32(1_000_000),
        };
        let crypto = Arc::new(Rigged::new(tls(), &encoded(&unknown)));
        let rigged = StockServer::with_crypto(crypto.clone());
        let connection = ours(rigged.address()).await.unwrap();
        assert_eq!(connection.security().capabilities, Some(unknown));
        // `find` refuses a second one.
        let heard = crypto.heard.lock().unwrap().clone();
        let said = TransportParameter::find(&heard).unwrap().unwrap();
        assert_eq!((said.version, said.identity), (VarInt::from_u32(1), None));

        let server = server();
        let crypto = Rigged::new(client_tls(None, Schemes::WithComposite), &encoded(&unknown));
        let crypto = Arc::new(crypto);
        let address = server.local_addr().unwrap();
        let client = connect_with(crypto.clone(), address).await.unwrap();
        let session = accept(&server, &client).await;
        assert_eq!(session.connection().security().capabilities, Some(unknown));
        let heard = crypto.heard.lock().unwrap().clone();
        let said = TransportParameter::find(&heard).unwrap().unwrap();
        assert_eq!(
            (said.version, said.identity),
            (VarInt::from_u32(1), Some(KNOWN.id()))
        );
    })
    .await;
}

#[tokio::test]
async fn a_servers_parameter_that_breaks_a_rule_is_named() {
    within(async {
        for (behind, expected) in wrongs() {
            let crypto = Arc::new(Rigged::new(tls(), &behind));
            let server = StockServer::with_crypto(crypto);
            let error = ours(server.address()).await.unwrap_err();
            let ConnectError::Parameter(fault) = &error else {
                panic!("{behind:?}: {error:?}");
            };
            assert!(expected(fault), "{behind:?}: {fault:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_whose_parameter_breaks_a_rule_does_not_get_in() {
    within(async {
        let server = server();
        let address = server.local_addr().unwrap();
        for (behind, expected) in wrongs() {
            let crypto = Rigged::new(client_tls(None, Schemes::WithComposite), &behind);
            let error = connect_with(Arc::new(crypto), address).await.unwrap_err();
            let quinn::ConnectionError::ConnectionClosed(close) = error else {
                panic!("{behind:?}: {error:?}");
            };
            let code = quinn::TransportErrorCode::TRANSPORT_PARAMETER_ERROR;
            assert_eq!(close.error_code, code, "{behind:?}");
            // The client is told what is wrong: the same words that our own clients have for it.
            let fault = TransportParameter::find(&behind).unwrap_err();
            assert!(expected(&fault), "{behind:?}");
            assert_eq!(close.reason, fault.to_string().as_bytes());
        }
        until(|| server.open_connections() == 0).await;
        // The server goes on.
        ours(address).await.unwrap();
    })
    .await;
}

//! IP versions: which a socket takes, and how a client gets to it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use stoq_native::{
    BindError, ClientConfig, Code, Endpoint, Identity, IpVersions, ServerConfig, Trust,
};

use crate::harness::within;

/// A server on all interfaces, and clients that trust it.
fn server(address: IpAddress, ip: IpVersions) -> (Endpoint, impl Fn(IpVersions) -> Endpoint) {
    let identity = Identity::self_signed(["localhost"]).unwrap();
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let mut config = ServerConfig::new(identity);
    config.transport.ip = ip;
    let address = match address {
        IpAddress::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        IpAddress::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let server = Endpoint::server(address, config).unwrap();
    (server, move |ip| {
        let mut config = ClientConfig::new(trust.clone());
        config.transport.ip = ip;
        config.connect_timeout = std::time::Duration::from_millis(500);
        Endpoint::client(config).unwrap()
    })
}

enum IpAddress {
    V4,
    V6,
}

/// The address that the server sees, or the code of the client's error.
async fn reach(server: &Endpoint, client: &Endpoint, host: &str) -> Result<SocketAddr, Code> {
    let url = format!("stoq://{host}:{}/test", server.local_addr().unwrap().port());
    let accept = async {
        let request = server.accept().await.unwrap();
        let address = request.remote_address();
        (address, request.accept().await.unwrap())
    };
    let mut accept = Box::pin(accept);
    let connect = client.connect(&url);
    tokio::select! {
        (address, _session) = &mut accept => Ok(address),
        session = connect => match session {
            Ok(_session) => Ok(accept.await.0),
            Err(error) => Err(error.code()),
        },
    }
}

#[tokio::test]
async fn both_versions_reach_a_dual_stack_server() {
    within(async {
        let (server, client) = server(IpAddress::V6, IpVersions::Both);
        for ip in [IpVersions::Both, IpVersions::V4Only] {
            let seen = reach(&server, &client(ip), "127.0.0.1").await.unwrap();
            assert_eq!(seen.ip(), Ipv4Addr::LOCALHOST, "not an IPv6 form of it");
        }
        for ip in [IpVersions::Both, IpVersions::V6Only] {
            let seen = reach(&server, &client(ip), "[::1]").await.unwrap();
            assert_eq!(seen.ip(), Ipv6Addr::LOCALHOST);
        }
    })
    .await;
}

#[tokio::test]
async fn ipv6_only_is_enforced_on_both_ends() {
    within(async {
        let (server, client) = server(IpAddress::V6, IpVersions::V6Only);
        assert!(
            reach(&server, &client(IpVersions::Both), "[::1]")
                .await
                .is_ok()
        );
        let refused = reach(&server, &client(IpVersions::Both), "127.0.0.1").await;
        assert_eq!(refused, Err(Code::TIMEOUT), "an IPv4 client finds nobody");
        let refused = reach(&server, &client(IpVersions::V6Only), "127.0.0.1").await;
        assert_eq!(
            refused,
            Err(Code::CONNECTION_LOST),
            "an IPv6-only client does not try"
        );
    })
    .await;
}

#[tokio::test]
async fn a_name_leads_to_the_version_that_answers() {
    within(async {
        // `localhost` has, as a rule, an address of each version, and the first to be tried is the IPv6 one.
        let (server, client) = server(IpAddress::V4, IpVersions::Both);
        assert!(
            reach(&server, &client(IpVersions::Both), "localhost")
                .await
                .is_ok()
        );
    })
    .await;
}

#[tokio::test]
async fn an_address_of_the_other_version_is_a_bad_setting() {
    let bind = |address: &str, ip| {
        let mut config = ServerConfig::new(Identity::self_signed(["localhost"]).unwrap());
        config.transport.ip = ip;
        Endpoint::server(address.parse().unwrap(), config)
    };
    for (address, ip) in [
        ("127.0.0.1:0", IpVersions::V6Only),
        ("[::]:0", IpVersions::V4Only),
    ] {
        let error = bind(address, ip).unwrap_err();
        assert!(
            matches!(&error, BindError::Config(config) if config.setting == "ip"),
            "{error}"
        );
    }
}

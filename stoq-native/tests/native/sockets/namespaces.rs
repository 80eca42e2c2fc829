//! Two network namespaces with a cable between them, so that the route has an MTU of its own.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use rustix::fd::AsFd as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use stoq_native::{
    ClientConfig, Code, Endpoint, Identity, IpVersions, ServerConfig, Session, Trust,
};

use super::{pattern, with_mtu, within};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 231, 7, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 231, 7, 2);

/// Gone when it is dropped.
struct Cable {
    server: String,
    client: String,
}

impl Cable {
    /// # Errors
    /// What `ip` says.
    fn lay(name: &str, mtu: u16) -> Result<Self, String> {
        let of = |end| format!("stoq-{}-{name}-{end}", std::process::id());
        let cable = Self {
            server: of("s"),
            client: of("c"),
        };
        let Self { server, client } = &cable;
        for namespace in [server, client] {
            ip(&format!("netns add {namespace}"))?;
        }
        ip(&format!(
            "-n {server} link add v0 mtu {mtu} type veth peer name v0 netns {client} mtu {mtu}"
        ))?;
        for (namespace, address) in [(server, SERVER), (client, CLIENT)] {
            ip(&format!("-n {namespace} address add {address}/24 dev v0"))?;
            ip(&format!("-n {namespace} link set v0 up"))?;
        }
        Ok(cable)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for namespace in [&self.server, &self.client] {
            let _ = ip(&format!("netns delete {namespace}"));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    let fault = || {
        format!(
            "ip {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    };
    output.status.success().then_some(()).ok_or_else(fault)
}

/// Runs on a thread of its own that sees only this namespace: its sockets, its routes.
fn within_namespace<T: Send + 'static>(
    namespace: &str,
    work: impl FnOnce(tokio::runtime::Runtime) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let namespace = File::open(format!("/var/run/netns/{namespace}")).unwrap();
    thread::spawn(move || {
        let network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), network).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        work(runtime.unwrap())
    })
}

/// Nothing was tested, which nobody may take for a success: in CI it is a failure, elsewhere it is said past the harness, which
/// shows nothing of tests that pass. Where the system forbids namespaces even to root, as containers do, CI cannot help it.
fn skip(name: &str, error: &str) {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    let forbidden = ["not permitted", "denied", "Read-only"];
    let forbidden = forbidden.iter().any(|word| error.contains(word));
    assert!(!ci || forbidden, "{name}: needs root and iproute2: {error}");
    let said = format!("\n*** SKIPPED, NOT TESTED: {name}: needs root and iproute2: {error}\n");
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}

/// Packets of both ends grow to the cable's MTU without headers, and no further.
fn respects(name: &str, mtu: u16) {
    let cable = match Cable::lay(name, mtu) {
        Ok(cable) => cable,
        Err(error) => return skip(name, &error),
    };
    let identity = Identity::self_signed(["localhost"]).unwrap();
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let (address, bound) = mpsc::channel();
    let server = within_namespace(&cable.server, move |runtime| {
        runtime.block_on(within(async move {
            let mut config = ServerConfig::new(identity);
            config.transport.ip = IpVersions::V4Only;
            config.transport.socket = with_mtu(65_507);
            let endpoint = Endpoint::server((SERVER, 0).into(), config).unwrap();
            address.send(endpoint.local_addr().unwrap()).unwrap();
            let session = endpoint.accept().await.unwrap().accept().await.unwrap();
            let found = exchange(&session, mtu - 28, false).await;
            endpoint.wait_idle().await;
            found
        }))
    });
    let address: SocketAddr = bound.recv().unwrap();
    let client = within_namespace(&cable.client, move |runtime| {
        runtime.block_on(within(async move {
            let mut config = ClientConfig::new(trust);
            config.transport.ip = IpVersions::V4Only;
            config.transport.socket = with_mtu(65_507);
            let endpoint = Endpoint::client(config).unwrap();
            let session = endpoint.connect(&format!("stoq://{address}/test")).await;
            let found = exchange(&session.unwrap(), mtu - 28, true).await;
            endpoint.close(Code::NO_ERROR, "");
            endpoint.wait_idle().await;
            found
        }))
    });
    let largest = mtu - 28;
    for end in [server, client] {
        let (found, black_holes) = end.join().unwrap();
        assert!((largest - 19..=largest).contains(&found), "{found}");
        assert_eq!(black_holes, 0);
    }
}

/// Each end sends until its packets have grown; the client leaves when it has heard that the server's have. Gives the size, and
/// the black holes that were met.
async fn exchange(session: &Session, largest: u16, leaves: bool) -> (u16, u64) {
    let grown = async {
        let mut stream = session.open_uni().await.unwrap();
        while session.connection().stats().mtu < largest - 19 {
            stream.write_all(&pattern(100_000)).await.unwrap();
        }
        stream.finish().unwrap();
        let stats = session.connection().stats();
        (stats.mtu, stats.black_holes)
    };
    let heard = async {
        let mut stream = session.accept_uni().await.unwrap();
        // The client is the first to have heard all, and leaves then.
        while let Ok(Some(_)) = stream.read_chunk(usize::MAX).await {}
    };
    let (found, ()) = tokio::join!(grown, heard);
    if !leaves {
        session.closed().await;
    }
    found
}

#[test]
fn packets_stay_within_a_narrow_route() {
    respects("narrow", 1300);
}

#[test]
fn packets_grow_to_a_jumbo_route() {
    respects("jumbo", 9000);
}

//! Who is believed: pins, authorities, and clients that say who they are.

use std::path::Path;

use stoq_native::{
    Domain, FalconId, FalconKey, FalconSigner as _, Grant, SignedGrant, UnixMicros, grant_to_pem,
};
use tempfile::TempDir;

use crate::keys::done;
use crate::process::{Process, Server};

/// Makes a key in `<name>.pem`, its public half in `<name>.pub`; its identity.
pub(crate) fn keygen(name: &str, directory: &TempDir) -> String {
    let at = directory.path();
    let file = format!("{name}.pem");
    let id = done(&["keygen", &file], at);
    let public = done(&["id", "--public", &file], at);
    std::fs::write(at.join(format!("{name}.pub")), public).unwrap();
    id.trim_end().into()
}

/// Has `authority.pem` vouch for an identity, in `<file>`.
pub(crate) fn grant(id: &str, words: &[&str], file: &str, directory: &TempDir) {
    let grant = ["grant", "--authority-key", "authority.pem", "--id", id];
    let rest = ["--days", "1", "--out", file];
    done(&[&grant[..], &rest, words].concat(), directory.path());
}

/// Runs a client that must succeed.
fn enters(server: &Server, words: &[&str]) -> String {
    let ended = server.stranger(words).end();
    assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    ended.stdout
}

/// Runs a client whose server, or that itself, is not trusted; the complaint.
fn untrusted(server: &Server, words: &[&str]) -> String {
    let (code, complaint) = server.stranger(words).end().complaint();
    assert_eq!(code, 77, "{complaint}");
    complaint
}

#[test]
fn a_pinned_server_is_believed_and_another_is_named() {
    let directory = TempDir::new().unwrap();
    let id = keygen("server", &directory);
    let other = keygen("other", &directory);
    let server = Server::start(&directory, &["--falcon-key", "server.pem"]);
    assert_eq!(server.falcon.as_ref().unwrap().1, id);

    std::fs::write(directory.path().join("file"), "hello").unwrap();
    enters(&server, &["send", "file", "URL", "--pin", &id]);
    let out = ["--out", "back"];
    enters(
        &server,
        &[
            &["get", "URL", "file", "--pin", &other, "--pin", &id],
            &out[..],
        ]
        .concat(),
    );
    assert_eq!(
        std::fs::read(directory.path().join("back")).unwrap(),
        b"hello"
    );
    enters(&server, &["ping", "URL", "--count", "1", "--pin", &id]);

    let complaint = untrusted(&server, &["list", "URL", "--pin", &other]);
    let who = format!("{id} is not pinned for {}", server.address);
    assert!(complaint.contains(&who), "{complaint}");
    assert!(complaint.contains("its operator says"), "{complaint}");
}

#[test]
fn a_server_without_falcon_is_not_one_that_is_pinned() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    assert_eq!(server.falcon, None);
    let someone = FalconId::new([7; 32]).to_string();
    let complaint = untrusted(&server, &["list", "URL", "--pin", &someone]);
    assert!(
        complaint.contains("unable to do what the policy requires"),
        "{complaint}"
    );
    assert!(complaint.contains("`stoq inspect`"), "{complaint}");
}

#[test]
fn each_certificate_is_known_by_its_hash() {
    let directory = TempDir::new().unwrap();
    keygen("server", &directory);
    let server = Server::start(&directory, &["--falcon-key", "server.pem"]);
    let (falcon, _) = server.falcon.as_ref().unwrap();
    // A client that could take either is shown FALCON's.
    enters(&server, &["list", "URL", "--certificate-hash", falcon]);
    let both = [
        "--certificate-hash",
        &server.hash,
        "--certificate-hash",
        falcon,
    ];
    enters(&server, &[&["list", "URL"], &both[..]].concat());
    let complaint = untrusted(
        &server,
        &["list", "URL", "--certificate-hash", &server.hash],
    );
    assert!(complaint.contains(falcon), "{complaint}");
}

#[test]
fn an_authority_vouches_for_a_name_and_no_other() {
    let directory = TempDir::new().unwrap();
    let id = keygen("server", &directory);
    keygen("authority", &directory);
    let stranger = keygen("stranger", &directory);
    grant(&id, &["--name", "127.0.0.1"], "right.pem", &directory);
    grant(&id, &["--name", "example.org"], "wrong.pem", &directory);
    grant(
        &stranger,
        &["--name", "127.0.0.1"],
        "foreign.pem",
        &directory,
    );
    let list = ["list", "URL", "--authority", "authority.pub"];
    let serve = |grant| {
        let falcon = ["--falcon-key", "server.pem", "--grant", grant];
        Server::start(&directory, &falcon)
    };

    let server = serve("right.pem");
    enters(&server, &list);
    let complaint = untrusted(&server, &["list", "URL", "--authority", "stranger.pub"]);
    assert!(
        complaint.contains("is not the authority that is trusted"),
        "{complaint}"
    );
    let (code, complaint) = server
        .stranger(&["list", "URL", "--authority", "authority.pem"])
        .end()
        .complaint();
    assert_eq!(code, 65);
    assert!(complaint.contains("`stoq id --public`"), "{complaint}");
    drop(server);

    let server = serve("wrong.pem");
    let complaint = untrusted(&server, &list);
    assert!(
        complaint.contains("does not name \"127.0.0.1\""),
        "{complaint}"
    );
    drop(server);

    let server = Server::start(&directory, &["--falcon-key", "server.pem"]);
    let complaint = untrusted(&server, &list);
    assert!(
        complaint.contains("no grant by an authority"),
        "{complaint}"
    );
    drop(server);

    let complaint = refused_at_start(&["--grant", "foreign.pem"], directory.path());
    assert!(complaint.contains(&stranger), "{complaint}");
    expired(&id, &directory);
    let complaint = refused_at_start(&["--grant", "expired.pem"], directory.path());
    assert!(complaint.contains("has expired"), "{complaint}");
    let complaint = refused_at_start(&["--grant", "authority.pub"], directory.path());
    assert!(complaint.contains("PUBLIC KEY"), "{complaint}");
}

/// Has `authority.pem` vouch for an identity, in `expired.pem`, for a moment in 1970.
fn expired(id: &str, directory: &TempDir) {
    let authority = FalconKey::from_pem_file(directory.path().join("authority.pem")).unwrap();
    let grant = Grant {
        authority: authority.id(),
        subject: id.parse().unwrap(),
        serial: 1,
        not_before: UnixMicros(1),
        not_after: UnixMicros(2),
        names: vec!["127.0.0.1".into()],
    };
    let signed = grant.to_be_signed().unwrap();
    let signature = authority.sign(Domain::GRANT, &[&signed]).unwrap();
    let grant = grant_to_pem(&SignedGrant::new(grant, signature).unwrap());
    std::fs::write(directory.path().join("expired.pem"), grant).unwrap();
}

/// What `stoq serve` with server.pem and these words says, instead of serving.
fn refused_at_start(words: &[&str], directory: &Path) -> String {
    let serve = ["serve", "--dir", "store", "--listen", "127.0.0.1:0"];
    let words = [&serve[..], &["--falcon-key", "server.pem"], words].concat();
    let (code, complaint) = Process::start(&words, directory).end().complaint();
    assert!([64, 65].contains(&code), "{code}: {complaint}");
    complaint
}

#[test]
fn a_server_lets_in_the_clients_that_it_knows() {
    let directory = TempDir::new().unwrap();
    let id = keygen("server", &directory);
    let friend = keygen("friend", &directory);
    let other = keygen("other", &directory);
    let mutual = ["--falcon-key", "server.pem", "--client", &friend];
    let server = Server::start(&directory, &mutual);
    let list = ["list", "URL", "--pin", &id];

    let complaint = untrusted(&server, &list);
    assert!(
        complaint.contains("rejected this end's identity"),
        "{complaint}"
    );
    assert!(complaint.contains("--identity FILE"), "{complaint}");
    let complaint = untrusted(&server, &[&list[..], &["--identity", "other.pem"]].concat());
    assert!(
        complaint.contains("rejected this end's identity"),
        "{complaint}"
    );
    let unknown = format!("{other} is not one of the clients that are trusted");
    assert!(complaint.contains(&unknown), "{complaint}");
    enters(
        &server,
        &[&list[..], &["--identity", "friend.pem"]].concat(),
    );
    // The server's word for itself may be a classical one.
    let hashes = ["--certificate-hash", &server.falcon.as_ref().unwrap().0];
    let identity = ["--identity", "friend.pem"];
    enters(
        &server,
        &[&["list", "URL"], &hashes[..], &identity].concat(),
    );
}

#[test]
fn a_server_lets_in_whom_an_authority_vouches_for() {
    let directory = TempDir::new().unwrap();
    let id = keygen("client", &directory);
    keygen("authority", &directory);
    grant(&id, &[], "grant.pem", &directory);
    let server = Server::start(&directory, &["--client-authority", "authority.pub"]);
    let list = ["list", "URL", "--certificate-hash", &server.hash];
    untrusted(&server, &list);
    let identity = ["--identity", "client.pem"];
    untrusted(&server, &[&list[..], &identity].concat());
    let granted = ["--identity", "client.pem", "--grant", "grant.pem"];
    enters(&server, &[&list[..], &granted].concat());
}

#[cfg(unix)]
#[test]
fn an_identity_that_others_may_read_is_used_with_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = TempDir::new().unwrap();
    keygen("client", &directory);
    let server = Server::start(&directory, &[]);
    let url = server.url("files");
    let path = directory.path().join("client.pem");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let words = ["list", &url, "--certificate-hash", &server.hash];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stoq"))
        .args([&words[..], &["--identity", "client.pem"]].concat())
        .current_dir(directory.path())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    assert!(output.status.success());
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.contains("can be read by others"), "{warning}");
    assert_eq!(warning.lines().count(), 1, "{warning}");
}

//! Files whose answer is signed: fetched with `--verify`.

use std::fs;

use tempfile::TempDir;

use crate::identities::keygen;
use crate::process::Server;

#[test]
fn a_signed_file_names_its_origin_and_a_strangers_is_refused() {
    let directory = TempDir::new().unwrap();
    let id = keygen("server", &directory);
    let other = keygen("other", &directory);
    let server = Server::start(&directory, &["--falcon-key", "server.pem"]);
    // More than a run of 8 MiB, and nothing of a round size.
    let content: Vec<u8> = (0..20_000_003_u32).map(|at| (at >> 3) as u8).collect();
    fs::write(directory.path().join("file"), &content).unwrap();
    let run = |words: &[&str]| server.stranger(&[words, &["--pin", &id]].concat()).end();
    assert_eq!(run(&["send", "file", "URL"]).code, Some(0));

    let get = ["get", "URL", "file", "--out", "back"];
    let fetched = run(&[&get[..], &["--verify", &other, "--verify", &id]].concat());
    let said = &fetched.stdout;
    assert!(
        said.starts_with("fetched file 20000003 bytes sha256 "),
        "{fetched:?}"
    );
    assert!(said.ends_with(&format!(" signed by {id}\n")), "{said}");
    assert!(fs::read(directory.path().join("back")).unwrap() == content);

    fs::remove_file(directory.path().join("back")).unwrap();
    let (code, complaint) = run(&[&get[..], &["--verify", &other]].concat()).complaint();
    assert_eq!(code, 77, "{complaint}");
    let who = format!("{id} is not an origin that is trusted");
    assert!(complaint.contains(&who), "{complaint}");
    assert!(!directory.path().join("back").exists());

    let missing = ["get", "URL", "nothing", "--verify", &id];
    let (code, complaint) = run(&missing).complaint();
    assert_eq!(code, 1, "a refusal is signed as well: {complaint}");
}

#[test]
fn a_server_without_an_identity_signs_nothing() {
    let directory = TempDir::new().unwrap();
    let id = keygen("server", &directory);
    let server = Server::start(&directory, &[]);
    fs::write(directory.path().join("file"), "text").unwrap();
    server.done(&["send", "file", "URL"]);
    let get = ["get", "URL", "file", "--verify", &id];
    let (code, complaint) = server.client(&get).end().complaint();
    assert_eq!(code, 69, "{complaint}");
    assert!(
        complaint.contains("the server broke the transfer off"),
        "{complaint}"
    );
}

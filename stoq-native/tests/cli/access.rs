//! Services that want access tokens, and clients that have good ones, bad ones and none.

use std::fs;

use stoq_native::{AccessToken, FalconKey, UnixMicros, access_token_from_file, issue_access_token};
use tempfile::TempDir;

use crate::identities::keygen;
use crate::keys::done;
use crate::process::{Ended, Server};

/// A server, and its identity, by which clients here know it.
struct Guarded {
    server: Server,
    id: String,
}

impl Guarded {
    fn run(&self, words: &[&str]) -> Ended {
        self.server
            .stranger(&[words, &["--pin", &self.id]].concat())
            .end()
    }

    /// Runs a client that must succeed.
    fn done(&self, words: &[&str]) {
        let ended = self.run(words);
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    }

    /// Runs a client that must fail; its exit code and complaint.
    fn failed(&self, words: &[&str]) -> (i32, String) {
        self.run(words).complaint()
    }
}

/// A server whose service `files` wants tokens of `issuer.pem`.
fn server(directory: &TempDir, access: &str) -> Guarded {
    let id = keygen("server", directory);
    keygen("issuer", directory);
    fs::write(directory.path().join("revoked"), "").unwrap();
    let words = ["--falcon-key", "server.pem", "--access", access];
    let rest = ["--issuer", "issuer.pub", "--revoked", "revoked"];
    let server = Server::start(directory, &[&words[..], &rest].concat());
    Guarded { server, id }
}

/// Writes a token for alice to `<file>`.
fn issue(directory: &TempDir, file: &str, audience: &str, words: &[&str]) {
    let issue = [
        "token",
        "issue",
        "--key",
        "issuer.pem",
        "--subject",
        "alice",
    ];
    let rest = ["--audience", audience, "--out", file];
    done(&[&issue[..], &rest, words].concat(), directory.path());
}

/// The same of a token that `change` makes something else of.
fn reissue(directory: &TempDir, from: &str, to: &str, change: impl FnOnce(&mut AccessToken)) {
    let path = |file: &str| directory.path().join(file);
    let issuer = FalconKey::from_pem_file(path("issuer.pem")).unwrap();
    let mut token = access_token_from_file(path(from)).unwrap().claim().clone();
    change(&mut token);
    let signed = issue_access_token(token, &issuer).unwrap();
    fs::write(path(to), signed.to_text() + "\n").unwrap();
}

const READ: [&str; 4] = ["--service", "files", "--permission", "read"];

#[test]
fn who_may_read_lists_and_gets_and_who_may_write_sends_and_deletes() {
    let directory = TempDir::new().unwrap();
    let server = server(&directory, "files");
    issue(&directory, "reader", &server.id, &READ);
    issue(
        &directory,
        "writer",
        &server.id,
        &["--service", "files", "--permission", "write"],
    );
    fs::write(directory.path().join("file"), "hello").unwrap();
    server.done(&["send", "file", "URL", "--token", "writer"]);
    server.done(&["list", "URL", "--token", "reader"]);
    server.done(&["get", "URL", "file", "--out", "back", "--token", "reader"]);
    assert_eq!(fs::read(directory.path().join("back")).unwrap(), b"hello");
    for (words, token, wanted) in [
        (&["send", "file", "URL"][..], "reader", "write"),
        (&["delete", "URL", "file"], "reader", "write"),
        (&["list", "URL"], "writer", "read"),
        (&["get", "URL", "file", "--out", "no"], "writer", "read"),
        // Asked for on a verified stream, it is no other request.
        (
            &["get", "URL", "file", "--out", "no", "--verify", &server.id],
            "writer",
            "read",
        ),
    ] {
        let (code, complaint) = server.failed(&[words, &["--token", token]].concat());
        assert_eq!(code, 77, "{complaint}");
        let expected = format!("does not permit {wanted:?} (not-permitted)");
        assert!(complaint.contains(&expected), "{complaint}");
    }
    server.done(&["delete", "URL", "file", "--token", "writer"]);
    // Another service wants none.
    let url = server.server.url("echo");
    server.done(&["ping", &url, "--count", "1"]);
}

#[test]
fn each_refusal_has_its_words() {
    let directory = TempDir::new().unwrap();
    let server = server(&directory, "files=read");
    let other = keygen("other", &directory);
    issue(&directory, "good", &server.id, &READ);
    server.done(&["list", "URL", "--token", "good"]);

    issue(&directory, "elsewhere", &other, &READ);
    issue(
        &directory,
        "echo",
        &server.id,
        &["--service", "echo", "--permission", "read"],
    );
    issue(
        &directory,
        "write",
        &server.id,
        &["--service", "files", "--permission", "write"],
    );
    reissue(&directory, "good", "expired", |token| {
        token.expiry = UnixMicros(token.not_before.0 + 1);
        token.not_before = UnixMicros(token.not_before.0 - 1);
    });
    reissue(&directory, "good", "early", |token| {
        token.not_before = token.expiry;
    });
    let path = |file: &str| directory.path().join(file);
    let text = fs::read_to_string(path("good")).unwrap();
    // A character within the subject's letters: another subject, the same signature.
    let at = 6 + (2 + 32 + 32 + 16 + 8 + 8 + 1 + 1 + 1) * 4 / 3;
    let mut tampered = text.clone().into_bytes();
    tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
    fs::write(path("tampered"), tampered).unwrap();
    fs::rename(path("issuer.pem"), path("kept.pem")).unwrap();
    fs::rename(path("other.pem"), path("issuer.pem")).unwrap();
    issue(&directory, "stranger", &server.id, &READ);
    fs::rename(path("kept.pem"), path("issuer.pem")).unwrap();

    for (token, words) in [
        ("elsewhere", "access-token-wrong-audience"),
        ("echo", "access-token-wrong-service"),
        ("write", "permission-denied"),
        ("expired", "access-token-expired"),
        ("early", "access-token-not-yet-valid"),
        ("tampered", "access-token-forged"),
        ("stranger", "access-token-untrusted-issuer"),
    ] {
        let (code, complaint) = server.failed(&["list", "URL", "--token", token]);
        assert_eq!(code, 77, "{complaint}");
        assert!(complaint.contains(words), "{token}: {complaint}");
    }
    let (code, complaint) = server.failed(&["list", "URL"]);
    assert_eq!(code, 77, "{complaint}");
    assert!(complaint.contains("access-token-required"), "{complaint}");
    assert!(
        complaint.ends_with("present one with --token FILE"),
        "{complaint}"
    );
    // Of several the good one counts.
    server.done(&["list", "URL", "--token", "elsewhere", "--token", "good"]);
}

#[cfg(unix)]
#[test]
fn a_revoked_token_is_refused_after_a_sighup() {
    let directory = TempDir::new().unwrap();
    let mut server = server(&directory, "files");
    issue(&directory, "token", &server.id, &READ);
    server.done(&["list", "URL", "--token", "token"]);
    let path = directory.path().join("revoked");
    fs::write(&path, "not a nonce\n").unwrap();
    server.server.process.signal("HUP");
    server
        .server
        .process
        .wait_for("the revoked nonces stay as they are");
    server.done(&["list", "URL", "--token", "token"]);
    let token = access_token_from_file(directory.path().join("token")).unwrap();
    fs::write(&path, format!("{} # alice's\n", token.claim().nonce)).unwrap();
    server.server.process.signal("HUP");
    server.server.process.wait_for("access tokens are revoked");
    let (code, complaint) = server.failed(&["list", "URL", "--token", "token"]);
    assert_eq!(code, 77, "{complaint}");
    assert!(complaint.contains("access-token-revoked"), "{complaint}");
}

#[test]
fn a_holder_shows_the_key() {
    let directory = TempDir::new().unwrap();
    let server = server(&directory, "files=read");
    let at = directory.path();
    let holder = done(&["token", "holder", "holder.pem"], at);
    done(&["token", "holder", "another.pem"], at);
    let words = ["--life", "1d", "--holder", holder.trim_end()];
    issue(
        &directory,
        "held",
        &server.id,
        &[&READ[..], &words].concat(),
    );
    issue(&directory, "bearer", &server.id, &READ);
    server.done(&[
        "list",
        "URL",
        "--token",
        "held",
        "--holder-key",
        "holder.pem",
    ]);
    // What cannot do is said before anybody is asked.
    for (words, found) in [
        (
            &["--token", "held"][..],
            "give the key with --holder-key FILE",
        ),
        (
            &["--token", "held", "--holder-key", "another.pem"],
            "give the key with --holder-key FILE",
        ),
        (
            &["--token", "bearer", "--holder-key", "holder.pem"],
            "the key of no holder",
        ),
    ] {
        let (code, complaint) = server.failed(&[&["list", "URL"], words].concat());
        assert_eq!(code, 64, "{complaint}");
        assert!(complaint.contains(found), "{complaint}");
    }
    let (code, complaint) = server.failed(&["list", "URL", "--token", "absent"]);
    assert_eq!(code, 66, "{complaint}");
    let ended = server.run(&["list", "URL", "--holder-key", "holder.pem"]);
    assert_eq!(ended.code, Some(64));
}

#[test]
fn a_server_that_wants_tokens_says_whose() {
    let directory = TempDir::new().unwrap();
    keygen("server", &directory);
    keygen("issuer", &directory);
    fs::write(directory.path().join("bad"), "x\n").unwrap();
    let serve = |words: &[&str]| {
        let serve = ["serve", "--dir", "store", "--listen", "127.0.0.1:0"];
        crate::process::Process::start(&[&serve, words].concat(), directory.path()).end()
    };
    for words in [
        &["--access", "files"][..],
        &["--access", "files", "--issuer", "issuer.pub"],
        &["--access", "files", "--falcon-key", "server.pem"],
        &["--issuer", "issuer.pub", "--falcon-key", "server.pem"],
        &["--revoked", "bad"],
        &[
            "--access",
            "files=Read",
            "--issuer",
            "issuer.pub",
            "--falcon-key",
            "server.pem",
        ],
    ] {
        assert_eq!(serve(words).code, Some(64), "{words:?}");
    }
    let words = [
        "--access",
        "files",
        "--falcon-key",
        "server.pem",
        "--issuer",
    ];
    let (code, complaint) = serve(&[&words[..], &["issuer.pem"]].concat()).complaint();
    assert_eq!(code, 65, "{complaint}");
    let bad = [&words[..], &["issuer.pub", "--revoked", "bad"]].concat();
    let (code, complaint) = serve(&bad).complaint();
    assert_eq!(code, 65, "{complaint}");
    assert!(complaint.contains("line 1"), "{complaint}");
}

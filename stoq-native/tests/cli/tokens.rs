//! Access tokens: issued and shown.

use std::fs;
use std::path::Path;

use stoq_native::{FalconId, HolderKey, SignedAccessToken, access_token_from_file};
use tempfile::TempDir;

use crate::identities::keygen;
use crate::keys::done;
use crate::process::Process;

fn failed(words: &[&str], directory: &Path) -> (i32, String) {
    Process::start(words, directory).end().complaint()
}

/// The words of `stoq token issue` for alice and the service `files`, and these more.
fn issue<'a>(audience: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    let issue = [
        "token",
        "issue",
        "--key",
        "issuer.pem",
        "--subject",
        "alice",
    ];
    let rest = ["--audience", audience, "--service", "files"];
    [&issue[..], &rest, words].concat()
}

#[test]
fn a_token_says_what_was_asked_and_is_shown() {
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    let issuer = keygen("issuer", &directory);
    keygen("other", &directory);
    let audience = FalconId::new([7; 32]).to_string();
    let words = ["--permission", "write", "--permission", "read"];
    let printed = done(&issue(&audience, &words), at);
    let token: SignedAccessToken = printed.strip_suffix('\n').unwrap().parse().unwrap();
    let claim = token.claim();
    assert_eq!(claim.issuer.to_string(), issuer);
    assert_eq!(claim.audience.to_string(), audience);
    assert_eq!(claim.permissions, ["read", "write"]);
    assert_eq!(
        (claim.subject.as_str(), claim.service.as_str()),
        ("alice", "files")
    );
    assert_eq!((claim.holder, claim.life().as_secs()), (None, 300));

    let holder = done(&["token", "holder", "holder.pem"], at);
    let key: HolderKey = holder.trim_end().parse().unwrap();
    assert_eq!(
        done(&["token", "holder", "holder.pem", "--existing"], at),
        holder
    );
    let words = [
        "--permission",
        "read",
        "--life",
        "30d",
        "--holder",
        holder.trim_end(),
    ];
    let printed = done(
        &[&issue(&audience, &words)[..], &["--out", "token"]].concat(),
        at,
    );
    let token = access_token_from_file(at.join("token")).unwrap();
    let claim = token.claim();
    assert_eq!(claim.holder, Some(key));
    let begins = format!("nonce {} until 2", claim.nonce);
    assert!(printed.starts_with(&begins), "{printed}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(at.join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }

    let shown = done(&["token", "show", "token"], at);
    for line in [
        "subject     alice",
        "service     files",
        "permissions read",
        &format!("audience    {audience}"),
        &format!("issuer      {issuer}"),
        &format!("holder      {key}"),
        &format!("nonce       {}", claim.nonce),
        "signature   not checked, for want of --issuer",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let shown = done(&["token", "show", "token", "--issuer", "issuer.pub"], at);
    assert!(shown.ends_with("signature   good\n"), "{shown}");
    let by_other = ["token", "show", "token", "--issuer", "other.pub"];
    let (code, complaint) = failed(&by_other, at);
    assert_eq!(code, 65);
    assert!(complaint.contains("not trusted to issue"), "{complaint}");
}

#[test]
fn bad_words_of_a_token_are_named() {
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    keygen("issuer", &directory);
    let audience = FalconId::new([7; 32]).to_string();
    let long = "x".repeat(129);
    for (words, found) in [
        (
            &["--permission", "read", "--life", "301s"][..],
            "without a holder key a token may live 300 s",
        ),
        (&["--permission", "Read"], "permission cannot be 0"),
        (
            &["--permission", "read", "--subject", &long],
            "subject cannot be 129",
        ),
    ] {
        let mut words = issue(&audience, words);
        if words.contains(&"--subject")
            && words.iter().filter(|word| **word == "--subject").count() == 2
        {
            let at = words.iter().position(|word| *word == "--subject").unwrap();
            words.drain(at..at + 2);
        }
        let (code, complaint) = failed(&words, at);
        assert_eq!(code, 64, "{complaint}");
        assert!(complaint.contains(found), "{found}: {complaint}");
    }
    for words in [
        &["--permission", "read", "--life", "5"][..],
        &["--permission", "read", "--holder", "stoqh1"],
        &[],
    ] {
        let ended = Process::start(&issue(&audience, words), at).end();
        assert_eq!(ended.code, Some(64), "{words:?}");
    }
    fs::write(at.join("token"), "stoqt1AAAA\n").unwrap();
    let (code, complaint) = failed(&["token", "show", "token"], at);
    assert_eq!(code, 65, "{complaint}");
    assert!(complaint.contains("malformed"), "{complaint}");
    let (code, complaint) = failed(&["token", "show", "absent"], at);
    assert_eq!(code, 66, "{complaint}");
    let (code, complaint) = failed(&["token", "holder", "token"], at);
    assert_eq!(code, 73, "{complaint}");
    assert_eq!(
        fs::read_to_string(at.join("token")).unwrap(),
        "stoqt1AAAA\n"
    );
    let (code, complaint) = failed(&["token", "holder", "token", "--existing"], at);
    assert_eq!(code, 65, "{complaint}");
    assert!(complaint.contains("no key of P-256"), "{complaint}");
}

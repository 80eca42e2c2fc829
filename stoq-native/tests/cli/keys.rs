//! Keys, identities and grants, as files that a user makes and hands on.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use stoq_native::{
    FalconId, FalconKey, FalconSigner as _, grant_from_pem_file, verifying_key_from_pem_file,
    verifying_key_to_pem,
};
use tempfile::TempDir;

use crate::process::Process;

/// What a user has at their own terminal: no level of the log chosen.
fn plain(words: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stoq"))
        .args(words)
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

/// What a command printed that must succeed and say nothing else.
pub(crate) fn done(words: &[&str], directory: &Path) -> String {
    let output = plain(words, directory);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*complaints), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

fn failed(words: &[&str], directory: &Path) -> (i32, String) {
    Process::start(words, directory).end().complaint()
}

#[test]
fn a_new_key_is_named_and_for_its_owner_alone() {
    let directory = TempDir::new().unwrap();
    let printed = done(&["keygen", "key.pem"], directory.path());
    let id: FalconId = printed.strip_suffix('\n').unwrap().parse().unwrap();
    assert_eq!(done(&["id", "key.pem"], directory.path()), printed);
    let path = directory.path().join("key.pem");
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);
    assert_eq!(FalconKey::from_pem_file(path).unwrap().id(), id);
}

#[test]
fn a_public_key_is_printed_and_read() {
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    let id = done(&["keygen", "key.pem"], at);
    let public = done(&["id", "--public", "key.pem"], at);
    fs::write(at.join("public.pem"), &public).unwrap();
    assert_eq!(done(&["id", "public.pem"], at), id);
    assert_eq!(done(&["id", "public.pem", "--public"], at), public);
    let key = FalconKey::from_pem_file(at.join("key.pem")).unwrap();
    let back = verifying_key_from_pem_file(at.join("public.pem")).unwrap();
    assert_eq!(back, *key.verifying_key());
    assert_eq!(verifying_key_to_pem(&back), public);
    // It signs nothing, and nobody is warned of it.
    let grant = [
        "grant",
        "--authority-key",
        "public.pem",
        "--id",
        id.trim_end(),
    ];
    let grant = [&grant[..], &["--days", "1", "--out", "grant.pem"]].concat();
    let (code, complaint) = failed(&grant, at);
    assert_eq!(code, 65);
    assert!(complaint.contains("PUBLIC KEY"), "{complaint}");

    let lines: Vec<_> = public.lines().collect();
    let cut = public.replace(lines[1], "");
    fs::write(at.join("public.pem"), cut).unwrap();
    let (code, complaint) = failed(&["id", "public.pem"], at);
    assert_eq!(code, 65);
    assert!(complaint.contains("bytes, a public key has"), "{complaint}");
}

#[test]
fn a_file_that_exists_stays_what_it_is() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("key.pem");
    fs::write(&path, "precious").unwrap();
    let (code, complaint) = failed(&["keygen", "key.pem"], directory.path());
    assert_eq!(code, 73, "{complaint}");
    assert!(complaint.contains("key.pem"), "{complaint}");
    assert!(complaint.ends_with("choose another"), "{complaint}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let (code, complaint) = failed(&["keygen", "absent/key.pem"], directory.path());
    assert_eq!(code, 73, "{complaint}");
}

#[test]
fn a_damaged_key_is_refused_by_the_name_of_the_matter() {
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    done(&["keygen", "key.pem"], at);
    let path = at.join("key.pem");
    let good = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = good.lines().collect();
    let first = lines[1];
    lines.swap(1, 2);
    let swapped = lines.join("\n");
    for (text, matter) in [
        (swapped, "its checksum is wrong"),
        (good.replace(first, ""), "bytes, a key has"),
        (
            good.replace("FALCON-1024 PRIVATE", "OTHER"),
            "it is labelled",
        ),
        (good.replace("-----END", "----"), "not PEM"),
        (String::new(), "not PEM"),
    ] {
        fs::write(&path, text).unwrap();
        let grant = ["grant", "--authority-key", "key.pem", "--id", &some_id()];
        let grant = [&grant[..], &["--days", "1", "--out", "grant.pem"]].concat();
        for words in [&["id", "key.pem"][..], &grant] {
            let (code, complaint) = failed(words, at);
            assert_eq!(code, 65, "{complaint}");
            assert!(complaint.contains(matter), "{matter}: {complaint}");
            assert!(complaint.contains("key.pem"), "{complaint}");
        }
    }
    assert!(!at.join("grant.pem").exists());
    let (code, complaint) = failed(&["id", "absent.pem"], at);
    assert_eq!(code, 66);
    assert!(complaint.contains("absent.pem"), "{complaint}");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_used_with_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    let id = done(&["keygen", "key.pem"], at);
    for (mode, warns) in [(0o644, true), (0o640, true), (0o400, false)] {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(at.join("key.pem"), permissions).unwrap();
        let grant = ["grant", "--authority-key", "key.pem", "--id", id.trim_end()];
        let grant = [&grant[..], &["--days", "1", "--out", "grant.pem"]].concat();
        for words in [&["id", "key.pem"][..], &grant] {
            let output = plain(words, at);
            let warning = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(0));
            assert_eq!(
                warning.contains("can be read by others"),
                warns,
                "{warning}"
            );
            assert_eq!(warning.contains("key.pem"), warns, "{warning}");
            assert_eq!(warning.is_empty(), !warns, "{warning}");
        }
    }
}

#[test]
fn a_grant_says_what_was_asked_and_the_authority_stands_for_it() {
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    done(&["keygen", "authority.pem"], at);
    let subject = done(&["keygen", "subject.pem"], at);
    let subject = subject.trim_end();
    let words = ["grant", "--authority-key", "authority.pem", "--id", subject];
    let words = [&words[..], &["--out", "grant.pem", "--days", "30"]].concat();
    let names = ["--name", "B.example", "--name", "::1", "--serial", "7"];
    let printed = done(&[&words[..], &names].concat(), at);
    assert!(printed.starts_with("serial 7 until 2"), "{printed}");
    assert_eq!(printed.lines().count(), 1);

    let read = || grant_from_pem_file(at.join("grant.pem")).unwrap();
    let authority = FalconKey::from_pem_file(at.join("authority.pem")).unwrap();
    let signed = read();
    let grant = signed.verify(authority.verifying_key()).unwrap();
    assert_eq!(grant.authority, authority.id());
    assert_eq!(grant.subject.to_string(), subject);
    assert_eq!(
        (grant.serial, &grant.names[..]),
        (7, &["::1".into(), "b.example".into()][..])
    );
    let hour = 60 * 60 * 1_000_000;
    assert_eq!(grant.not_after.0 - grant.not_before.0, (30 * 24 + 1) * hour);

    // Without a serial it gets the time, and takes the place of the one before.
    let printed = done(&words, at);
    let signed = read();
    let grant = signed.verify(authority.verifying_key()).unwrap();
    assert!(
        printed.starts_with(&format!("serial {} until ", grant.serial)),
        "{printed}"
    );
    assert_eq!(grant.serial, grant.not_before.0 + hour);
    assert_eq!(grant.names, [""; 0]);
}

#[test]
fn bad_words_of_a_grant_are_named() {
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    done(&["keygen", "key.pem"], at);
    let id = some_id();
    for (words, found) in [
        (
            ["--id", "stoq1", "--days", "1", "--name", "a"],
            "52 characters",
        ),
        (["--id", &id, "--days", "0", "--name", "a"], "0 is not in"),
        (
            ["--id", &id, "--days", "9", "--name", "a:443"],
            "\"a:443\" cannot stand",
        ),
    ] {
        let grant = ["grant", "--authority-key", "key.pem", "--out", "grant.pem"];
        let output = plain(&[&grant[..], &words].concat(), at);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{complaint}");
        assert!(complaint.contains(found), "{found}: {complaint}");
    }
    let grant = [
        "grant",
        "--authority-key",
        "key.pem",
        "--id",
        &id,
        "--days",
        "1",
    ];
    let names: Vec<_> = (0..17).map(|at| format!("--name=host{at}")).collect();
    let rest = vec!["x".repeat(61); 4].join(".");
    let long: Vec<_> = (10..26).map(|at| format!("--name={at}{rest}")).collect();
    for (names, found) in [(names, "names has 17, more than 16"), (long, "grant has 5")] {
        let names = names.iter().map(String::as_str);
        let out = ["--out", "grant.pem"];
        let words: Vec<_> = grant.into_iter().chain(names).chain(out).collect();
        let (code, complaint) = failed(&words, at);
        assert_eq!(code, 64, "{complaint}");
        assert!(complaint.contains(found), "{found}: {complaint}");
    }
    assert!(!at.join("grant.pem").exists());
    let (code, complaint) = failed(&[&grant[..], &["--out", "absent/grant.pem"]].concat(), at);
    assert_eq!(code, 73, "{complaint}");
}

fn some_id() -> String {
    FalconId::new([7; 32]).to_string()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

//! The command: what it says of settings that cannot be, and what signals do.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use stoq_core::close::Code;
use stoq_native::{FalconKey, FalconSigner as _, Identity, Nonce, verifying_key_to_pem};

use crate::access::{serve, token, works};
use crate::page::{Asking, Page, Refusal};
use crate::rotation::{DAY, pem};
use crate::target::Target;
use crate::within;

/// The command with this settings file.
fn command(settings: &str) -> (tempfile::TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoq-gateway"));
    command.arg("--config").arg(file);
    (folder, command)
}

#[test]
fn the_command_names_a_bad_setting_and_exits_with_64() {
    let good = "listen = \"127.0.0.1:0\"\ncertificate = { names = [\"localhost\"] }\n";
    for (more, said) in [
        ("limits = { max_streams = 0 }", "limits.max_streams = \"0\""),
        ("", "route = \"\""),
        ("colour = 1", "colour"),
        (
            "identity = { falcon_key = \"none.pem\" }",
            "identity.falcon_key: cannot use ",
        ),
    ] {
        let (_folder, mut command) = command(&format!("{good}{more}"));
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_stoq-gateway"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
}

/// The command at work; killed if it is dropped before its end.
struct Running {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn new(mut command: Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    /// The next line that it prints.
    fn line(&mut self) -> String {
        self.said.next().unwrap().unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").arg(name).arg(id).status().unwrap();
        assert!(sent.success());
    }

    fn ends_in_order(mut self) {
        self.signal("-TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error says that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_command_says_where_it_is_and_ends_in_order() {
    let (_folder, command) = command(
        "listen = \"127.0.0.1:0\"\ncertificate = { names = [\"localhost\"] }\n\
         [[route]]\nservice = \"echo\"\nupstream = \"stoq://127.0.0.1:9\"\n\
         hashes = [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n",
    );
    let mut running = Running::new(command);
    let url = running.line();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    running.ends_in_order();
}

#[test]
fn the_command_renews_its_certificate_at_sighup() {
    let (folder, command) = command(
        "listen = \"127.0.0.1:0\"\ncertificate = { names = [\"localhost\"] }\n\
         http = { listen = \"127.0.0.1:0\" }\nidentity = { falcon_key = \"key.pem\" }\n\
         [[route]]\nservice = \"echo\"\nupstream = \"stoq://127.0.0.1:9\"\n",
    );
    let key = FalconKey::generate();
    key.write_pem_file(folder.path().join("key.pem")).unwrap();
    let mut running = Running::new(command);
    assert!(running.line().starts_with("https://"));
    let page = running.line().strip_prefix("http://").unwrap().to_owned();
    assert_eq!(running.line(), key.id().to_string());
    let hashes = || {
        let mut stream = std::net::TcpStream::connect(&page).unwrap();
        let request = "GET /stoq.json HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let facts: serde_json::Value = serde_json::from_str(body).unwrap();
        facts["certificateHashes"].as_array().unwrap().clone()
    };
    let first = hashes();
    assert_eq!(first.len(), 1);
    running.signal("-HUP");
    let renewed = loop {
        let now = hashes();
        if now != first {
            break now;
        }
    };
    assert_eq!(renewed.len(), 2);
    assert_eq!(renewed[1], first[0]);
    running.ends_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_reads_revoked_nonces_at_sighup() {
    within(async {
        let target = Target::start().await;
        let _came = serve(&target);
        let [key, issuer] = [(); 2].map(|()| FalconKey::generate());
        let hash: String = target
            .hash
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let (folder, command) = command(&format!(
            "listen = \"127.0.0.1:0\"\nidentity = {{ falcon_key = \"key.pem\" }}\n\
             certificate = {{ chain = \"chain.pem\", key = \"tls.pem\" }}\n\
             access = {{ issuers = [\"issuer.pub\"], revoked = \"revoked\" }}\n\
             [[route]]\nservice = \"echo\"\nupstream = \"stoq://{}\"\n\
             hashes = [\"{hash}\"]\npermission = \"use\"\n",
            target.address()
        ));
        let file = |name| folder.path().join(name);
        key.write_pem_file(file("key.pem")).unwrap();
        let public = verifying_key_to_pem(issuer.verifying_key());
        std::fs::write(file("issuer.pub"), public).unwrap();
        let (chain, tls) = pem(0, 12 * DAY);
        std::fs::write(file("chain.pem"), chain).unwrap();
        std::fs::write(file("tls.pem"), tls).unwrap();
        std::fs::write(file("revoked"), "# nobody\n").unwrap();
        let certificate = Identity::from_pem_files(file("chain.pem"), file("tls.pem"))
            .unwrap()
            .certificate_hash();

        let mut running = Running::new(command);
        let url = running.line();
        let [lost, kept] = [1, 2].map(|nonce| {
            token(&issuer, key.id(), |token| {
                token.nonce = Nonce::new([nonce; 16])
            })
        });
        let ask = async |token: &bytes::Bytes| {
            let mut asking = Asking::path("/stoq/v1/echo");
            asking.access_tokens = vec![token.clone()];
            Page::ask_at(&url, certificate, asking).await
        };
        let (losing, keeping) = (ask(&lost).await.unwrap(), ask(&kept).await.unwrap());
        works(&losing).await;

        std::fs::write(file("revoked"), "01".repeat(16)).unwrap();
        running.signal("-HUP");
        assert_eq!(losing.closed().await.0, Code::TOKEN_REVOKED);
        let refused = ask(&lost).await.map(drop);
        assert!(
            matches!(&refused, Err(Refusal::InBand(code, _)) if *code == Code::TOKEN_REVOKED),
            "{refused:?}"
        );
        works(&keeping).await;
        works(&ask(&kept).await.unwrap()).await;
        drop(keeping);
        running.ends_in_order();
    })
    .await;
}

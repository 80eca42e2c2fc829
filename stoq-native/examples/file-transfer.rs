//! Sends a file on a stream of its own, and stores it only when it is whole: `cargo run -p stoq-native --example file-transfer`.

use std::error::Error;
use std::path::Path;

use stoq_native::{ClientConfig, Code, Endpoint, Identity, RecvStream, ServerConfig, Trust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::write(&from, vec![7; 10_000_000])?;

    let identity = Identity::self_signed(["localhost"])?;
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let server = Endpoint::server("[::1]:0".parse()?, ServerConfig::new(identity))?;
    let url = format!("stoq://{}/files", server.local_addr()?);
    let storing = {
        let (server, to) = (server.clone(), to.clone());
        tokio::spawn(async move {
            store_one(&server, &to)
                .await
                .map_err(|error| error.to_string())
        })
    };

    let client = Endpoint::client(ClientConfig::new(trust))?;
    let session = client.connect(&url).await?;
    let (mut send, mut receive) = session.open_bi().await?;
    let mut file = tokio::fs::File::open(&from).await?;
    send.write_all(&file.metadata().await?.len().to_be_bytes())
        .await?;
    // What the service does not take in time waits here: the file is never held whole.
    let sent = tokio::io::copy(&mut file, &mut send).await?;
    send.finish()?;
    // The end of the stream says that the bytes have arrived; that they are stored, only the service can say.
    assert_eq!(receive.read_to_end(16).await?, b"stored");
    println!("{sent} bytes are stored");
    session.close(Code::NO_ERROR, "");

    storing.await??;
    assert_eq!(std::fs::read(&from)?, std::fs::read(&to)?);
    client.wait_idle().await;
    server.shutdown(std::time::Duration::from_secs(1)).await;
    Ok(())
}

/// Serves one client, which sends one file.
async fn store_one(server: &Endpoint, path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let request = server.accept().await.ok_or("the endpoint is closed")?;
    let session = request.accept().await?;
    let (mut send, receive) = session.accept_bi().await?;
    store(receive, path).await?;
    send.write_all(b"stored").await?;
    send.finish()?;
    session.closed().await;
    Ok(())
}

/// A stream that is cut off is an error, and then there is no file.
async fn store(mut receive: RecvStream, path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let size = receive.read_u64().await?;
    let beside = path.with_extension("part");
    let mut file = tokio::fs::File::create(&beside).await?;
    let stored = tokio::io::copy(&mut receive.take(size), &mut file).await?;
    file.flush().await?;
    if stored < size {
        tokio::fs::remove_file(&beside).await?;
        return Err(format!("{stored} bytes came, {size} were announced").into());
    }
    tokio::fs::rename(&beside, path).await?;
    Ok(())
}

#[test]
fn works() {
    main().unwrap();
}

//! A service that sends back what it receives, and a client of it: `cargo run -p stoq-native --example echo`.
//!
//! Both ends stand in one process here, with real sockets between them; each half works as well in a process of its own.

use std::error::Error;

use stoq_native::{ClientConfig, Code, Endpoint, Identity, ServerConfig, Session, Trust};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // For development; a service has `Identity::from_pem_files`, or a FALCON key.
    let identity = Identity::self_signed(["localhost"])?;
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let server = Endpoint::server("[::1]:0".parse()?, ServerConfig::new(identity))?;
    let url = format!("stoq://{}/echo", server.local_addr()?);
    tokio::spawn(serve(server.clone()));

    let client = Endpoint::client(ClientConfig::new(trust))?;
    let session = client.connect(&url).await?;
    let (mut send, mut receive) = session.open_bi().await?;
    send.write_all(b"hello").await?;
    send.finish()?;
    let back = receive.read_to_end(1024).await?;
    println!("{}", String::from_utf8_lossy(&back));
    assert_eq!(back, b"hello");

    session.close(Code::NO_ERROR, "done");
    client.wait_idle().await;
    server.shutdown(std::time::Duration::from_secs(1)).await;
    Ok(())
}

/// Takes sessions until the endpoint is closed or shutting down.
async fn serve(server: Endpoint) {
    while let Some(request) = server.accept().await {
        if request.service().as_str() != "echo" {
            request.refuse(Code::UNKNOWN_SERVICE, "only echo is served here");
            continue;
        }
        tokio::spawn(async move {
            // The client may have gone meanwhile; then there is nothing to do.
            if let Ok(session) = request.accept().await {
                echo(session).await;
            }
        });
    }
}

/// Sends each stream back, until the session ends.
async fn echo(session: Session) {
    while let Ok((mut send, mut receive)) = session.accept_bi().await {
        tokio::spawn(async move {
            // One that is cut off is not finished, so that it does not look complete.
            if tokio::io::copy(&mut receive, &mut send).await.is_ok() {
                let _ = send.finish();
            }
        });
    }
}

#[test]
fn works() {
    main().unwrap();
}

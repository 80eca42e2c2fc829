//! Many sessions on few connections, and a connection that breaks: `cargo run -p stoq-native --example pool`.

use std::error::Error;

use stoq_native::{
    ClientConfig, Code, Endpoint, Identity, Pool, PoolConfig, ServerConfig, Session, Trust,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let identity = Identity::self_signed(["localhost"])?;
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let server = start(identity)?;
    let url = format!("stoq://{}/echo", server.local_addr()?);

    let client = Endpoint::client(ClientConfig::new(trust))?;
    let pool = Pool::new(client.clone(), PoolConfig::default())?;
    let (first, second) = tokio::try_join!(ask(&pool, &url), ask(&pool, &url))?;
    println!("two sessions: {:?}", pool.stats());
    assert_eq!(pool.stats().connected, 1);
    drop(second);

    // The connection breaks. Who opens a session then gets one all the same, on a new connection.
    first
        .connection()
        .close(Code::CANCELLED, "as if the path had gone");
    ask(&pool, &url).await?;
    println!("and a third: {:?}", pool.stats());
    assert_eq!(pool.stats().connected, 2);

    client.close(Code::NO_ERROR, "");
    client.wait_idle().await;
    server.shutdown(std::time::Duration::from_secs(1)).await;
    Ok(())
}

/// Opens a session, asks one thing in it, and hands it on.
async fn ask(pool: &Pool, url: &str) -> Result<Session, Box<dyn Error>> {
    let session = pool.open(url).await?;
    let (mut send, mut receive) = session.open_bi().await?;
    send.write_all(b"hello").await?;
    send.finish()?;
    assert_eq!(receive.read_to_end(1024).await?, b"hello");
    Ok(session)
}

/// An echo service, on any free port.
fn start(identity: Identity) -> Result<Endpoint, Box<dyn Error>> {
    let server = Endpoint::server("[::1]:0".parse()?, ServerConfig::new(identity))?;
    let endpoint = server.clone();
    tokio::spawn(async move {
        while let Some(request) = endpoint.accept().await {
            tokio::spawn(async move {
                let Ok(session) = request.accept().await else {
                    return;
                };
                while let Ok((mut send, mut receive)) = session.accept_bi().await {
                    if tokio::io::copy(&mut receive, &mut send).await.is_ok() {
                        let _ = send.finish();
                    }
                }
            });
        }
    });
    Ok(server)
}

#[test]
fn works() {
    main().unwrap();
}

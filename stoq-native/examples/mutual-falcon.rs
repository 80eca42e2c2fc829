//! Both ends prove who they are with FALCON-1024, in one round trip: `cargo run -p stoq-native --example mutual-falcon`.

use std::error::Error;
use std::sync::Arc;

use stoq_native::{
    ClientConfig, ClientPolicy, ClientTrust, Code, Endpoint, FalconKey, Identity, Pins,
    ServerConfig,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `stoq keygen` makes keys in files, `FalconKey::from_pem_file` reads them.
    let (server_key, client_key) = (FalconKey::generate(), FalconKey::generate());
    let (server_id, client_id) = (server_key.id(), client_key.id());

    let mut config = ServerConfig::new(Identity::falcon(Arc::new(server_key), ["localhost"])?);
    // Only these clients are let in, and each has to prove it.
    config.clients = ClientPolicy::Require(ClientTrust::Ids([client_id].into()));
    let server = Endpoint::server("[::1]:0".parse()?, config)?;
    let address = server.local_addr()?;

    // Only the holder of the server's key is believed there, whatever certificates say.
    let pins = Pins::new().pin(&address.to_string(), server_id)?;
    let mut config = ClientConfig::new(pins);
    config.identity = Some(Identity::falcon(Arc::new(client_key), ["client"])?);
    let client = Endpoint::client(config)?;

    let url = format!("stoq://{address}/hello");
    let accept = async {
        let request = server.accept().await.ok_or("the endpoint is closed")?;
        Ok::<_, Box<dyn Error>>(request.accept().await?)
    };
    let connect = async { Ok(client.connect(&url).await?) };
    let (here, there) = tokio::try_join!(connect, accept)?;
    println!(
        "the server is {}",
        here.connection().security().peer.ok_or("unknown")?
    );
    println!(
        "the client is {}",
        there.connection().security().peer.ok_or("unknown")?
    );
    assert_eq!(here.connection().security().peer, Some(server_id));
    assert_eq!(there.connection().security().peer, Some(client_id));

    here.close(Code::NO_ERROR, "done");
    client.wait_idle().await;
    server.shutdown(std::time::Duration::from_secs(1)).await;
    Ok(())
}

#[test]
fn works() {
    main().unwrap();
}

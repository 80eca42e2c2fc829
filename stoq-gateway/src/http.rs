//! The page that goes with the gateway: static files, `/stoq.json`, which says where the gateway is and which certificates
//! it has, and the endpoint record, which says the latter in the gateway's own hand.
//!
//! Everybody can connect here, so nobody may keep others out: there are so many places, an address has a share of them, and
//! a place is lost by who sends no request, or does not read what it asked for, for [half a minute](PATIENCE). Whoever reads
//! may take as long as it needs.

mod paced;
mod places;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Router, http::StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use stoq_core::endpoint_record::EndpointRecord;
use tokio::net::{TcpListener, TcpStream};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::config::{Config, Http};
use crate::record::now;
use crate::shared::Facts;
use crate::tasks::Spawner;
use paced::Paced;
use places::Places;

/// Accepts connections until dropped; each is a task of `spawner`.
pub(crate) async fn serve(
    listener: TcpListener,
    http: Http,
    facts: Arc<Facts>,
    config: Arc<Config>,
    spawner: Spawner,
) {
    let router = router(&http, facts);
    let places = Places::new(&config.limits);
    loop {
        let free = places.free().await;
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: those in use must end first.
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = places.give(free, address.ip()) else {
            tracing::debug!(%address, "too many HTTP connections from there");
            continue;
        };
        let router = router.clone();
        spawner.spawn(async move {
            connection(stream, router, PATIENCE).await;
            drop(place);
        });
    }
}

/// Origins under which a browser on this machine, or elsewhere, knows the page.
pub(crate) fn own_origins(address: std::net::SocketAddr) -> Vec<String> {
    let port = address.port();
    let mut hosts = vec![match address {
        std::net::SocketAddr::V4(v4) => v4.ip().to_string(),
        std::net::SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }];
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(String::from));
    }
    let suffix = if port == 80 {
        String::new()
    } else {
        format!(":{port}")
    };
    hosts
        .iter()
        .map(|host| format!("http://{host}{suffix}"))
        .collect()
}

fn router(http: &Http, facts: Arc<Facts>) -> Router {
    let mut router = Router::new().route("/stoq.json", get(stoq_json));
    if facts.falcon_id.is_some() {
        router = router.route(EndpointRecord::PATH, get(endpoint_record));
    }
    let router = router.with_state(facts);
    let router = match &http.root {
        Some(root) => router.fallback_service(ServeDir::new(root)),
        None => router.fallback(|| async { StatusCode::NOT_FOUND }),
    };
    let header = |name: HeaderName, value| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    // Certificates and the record change; and a page under development does too. Browsers ask again, with the date they have.
    router
        .layer(header(CACHE_CONTROL, "no-cache"))
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoqJson {
    url: String,
    certificate_hashes: Vec<String>,
    services: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    falcon_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_record: Option<&'static str>,
}

async fn stoq_json(State(facts): State<Arc<Facts>>) -> Json<StoqJson> {
    let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Json(StoqJson {
        url: facts.url.clone(),
        certificate_hashes: facts.listed().hashes(now()).iter().map(hex).collect(),
        services: facts.services.clone(),
        falcon_id: facts.falcon_id.map(|id| id.to_string()),
        endpoint_record: facts.falcon_id.map(|_| EndpointRecord::PATH),
    })
}

/// The record, or 503 when the last one has expired and none could be signed since.
async fn endpoint_record(State(facts): State<Arc<Facts>>) -> Response {
    // It is for everybody, and proves itself: pages of every origin may read it.
    let anybody = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    match facts.record(now()) {
        Some(record) => {
            let binary = [(CONTENT_TYPE, "application/octet-stream")];
            (anybody, binary, record).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, anybody).into_response(),
    }
}

/// Serves one, until it ends or `patience` does: with a peer that sends no request, or takes nothing of the answer.
async fn connection(stream: TcpStream, router: Router, patience: Duration) {
    // Without this a small answer would wait for the acknowledgement of the one before it.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = TowerToHyperService::new(router);
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(Paced::new(stream, patience)), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP connection");
    }
}

/// Between two tries when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For the whole header of the next request, on a new connection or a kept one, and for a peer to take anything at all of an
/// answer: after that it makes room.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A peer that has asked for a file of this size, and the task that serves it with this patience.
    async fn asked(size: usize, patience: Duration) -> (TcpStream, tokio::task::JoinSet<()>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("large"), vec![7; size]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut served = tokio::task::JoinSet::new();
        served.spawn(async move {
            let router = Router::new().fallback_service(ServeDir::new(folder.path()));
            connection(stream, router, patience).await;
        });
        let request = b"GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        peer.write_all(request).await.unwrap();
        (peer, served)
    }

    #[tokio::test]
    async fn who_reads_nothing_of_a_large_answer_makes_room() {
        let (mut peer, mut served) = asked(64 * MIB, Duration::from_millis(200)).await;
        tokio::time::timeout(Duration::from_secs(20), served.join_next())
            .await
            .expect("the connection ends")
            .unwrap()
            .unwrap();
        let mut got = Vec::new();
        let _ = peer.read_to_end(&mut got).await;
        assert!(got.len() < 64 * MIB);
    }

    #[tokio::test]
    async fn who_reads_slowly_gets_all() {
        const SIZE: usize = 6 * MIB;
        let patience = Duration::from_millis(500);
        let (mut peer, mut served) = asked(SIZE, patience).await;
        let start = Instant::now();
        let (mut got, mut piece) = (0, vec![0; 128 * 1024]);
        loop {
            match peer.read(&mut piece).await.unwrap() {
                0 => break,
                length => got += length,
            }
            // This peer's slowness is what is tried.
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert!(got > SIZE, "{got} bytes, the header among them");
        assert!(start.elapsed() > 2 * patience, "it was slow");
        served.join_next().await.unwrap().unwrap();
    }

    const MIB: usize = 1024 * 1024;

    #[test]
    fn the_own_page_is_known_by_every_local_name() {
        let origins = own_origins("127.0.0.1:8080".parse().unwrap());
        for origin in [
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080",
        ] {
            assert!(origins.iter().any(|own| own == origin), "{origin}");
        }
        assert_eq!(
            own_origins("192.0.2.1:80".parse().unwrap()),
            ["http://192.0.2.1"]
        );
    }
}

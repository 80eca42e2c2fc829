//! The page that goes with the gateway: static files, `/stoq.json`, which says where the gateway is and which certificates
//! it has, and the endpoint record, which says the latter in the gateway's own hand.

use std::sync::Arc;

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
use tokio::sync::Semaphore;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::config::{Config, Http};
use crate::record::now;
use crate::shared::Facts;
use crate::tasks::Spawner;

/// Accepts connections until dropped; each is a task of `spawner`.
pub(crate) async fn serve(
    listener: TcpListener,
    http: Http,
    facts: Arc<Facts>,
    config: Arc<Config>,
    spawner: Spawner,
) {
    let router = router(&http, facts);
    let places = Arc::new(Semaphore::new(
        config.limits.max_http_connections.get() as usize
    ));
    loop {
        let place = places
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: those in use must end first.
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let router = router.clone();
        spawner.spawn(async move {
            connection(stream, router).await;
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

async fn connection(stream: TcpStream, router: Router) {
    // Without this a small answer would wait for the acknowledgement of the one before it.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = TowerToHyperService::new(router);
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP connection");
    }
}

/// Between two tries when no connection can be accepted.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
/// For the next request's header, on a new connection or a kept one: after that it makes room.
const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

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

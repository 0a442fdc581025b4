//! The routes of the API.

use super::{
    access::{Admins, guard},
    fdstream::Connection,
    server::{Answer, Control, Refusal},
    types::{EndpointAdd, ErrorBody, NetworkCreate, Table},
};
use crate::netns::NamespaceFds;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        ConnectInfo, DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request, State,
        rejection::BytesRejection,
    },
    http::{Method, StatusCode, Uri, request::Parts},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Serialize, de::DeserializeOwned};

/// The largest body of a request.
const MAX_BODY: usize = 64 * 1024;

pub(super) fn router<C: Control>(control: C, admins: Admins) -> Router {
    Router::new()
        .route("/v1/status", get(async |State(control): State<C>| reply(control.status().await)))
        .route("/v1/nodes", get(async |State(control): State<C>| reply(control.nodes().await)))
        .route("/v1/drops", get(async |State(control): State<C>| reply(control.drops().await)))
        .route("/v1/dump/{table}", get(dump::<C>))
        .route(
            "/v1/networks",
            get(async |State(control): State<C>| reply(control.networks().await)).post(network_create::<C>),
        )
        .route("/v1/networks/{name}", get(network::<C>).delete(network_delete::<C>))
        .route(
            "/v1/endpoints",
            get(async |State(control): State<C>| reply(control.endpoints().await)).post(endpoint_add::<C>),
        )
        .route("/v1/endpoints/{id}", get(endpoint::<C>).delete(endpoint_delete::<C>))
        .fallback(async |uri: Uri| Refusal::not_found(format!("{} is not in this API", uri.path())))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| Refusal {
            status: 405,
            message: format!("{method} is not for {}", uri.path()),
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // Outermost: a body is not read for who may not send one.
        .layer(middleware::from_fn_with_state(admins, guard))
        .with_state(control)
}

async fn dump<C: Control>(State(control): State<C>, Segment(table): Segment) -> Response {
    if let Ok(table) = serde_json::from_value::<Table>(table.clone().into()) {
        reply(control.dump(table).await)
    } else {
        let message = format!("there is no table {table:?}; use fdb, neigh, vteps, ports or flood");
        Refusal::not_found(message).into_response()
    }
}

async fn network<C: Control>(State(control): State<C>, Segment(name): Segment) -> Response {
    reply(control.network(name).await)
}

async fn network_create<C: Control>(State(control): State<C>, Body(create): Body<NetworkCreate>) -> Response {
    created(control.network_create(create).await)
}

async fn network_delete<C: Control>(State(control): State<C>, Segment(name): Segment) -> Response {
    deleted(control.network_delete(name).await)
}

async fn endpoint<C: Control>(State(control): State<C>, Segment(id): Segment) -> Response {
    reply(control.endpoint(id).await)
}

async fn endpoint_add<C: Control>(
    State(control): State<C>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Body(add): Body<EndpointAdd>,
) -> Response {
    match NamespaceFds::from_received(connection.fds.take()) {
        Ok(namespace) => created(control.endpoint_add(add, namespace).await),
        Err(error) => Refusal::invalid(error.to_string()).into_response(),
    }
}

async fn endpoint_delete<C: Control>(State(control): State<C>, Segment(id): Segment) -> Response {
    deleted(control.endpoint_delete(id).await)
}

fn reply<T: Serialize>(answer: Answer<T>) -> Response {
    answer.map(Json).into_response()
}

fn created<T: Serialize>(answer: Answer<T>) -> Response {
    answer.map(|made| (StatusCode::CREATED, Json(made))).into_response()
}

fn deleted(answer: Answer<()>) -> Response {
    answer.map(|()| StatusCode::NO_CONTENT).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(ErrorBody { error: self.message })).into_response()
    }
}

/// The one variable segment of a path.
struct Segment(String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(error) => Err(Refusal::invalid(error.body_text())),
        }
    }
}

/// A JSON body. Its content type is not asked for: nothing else is taken.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error: BytesRejection| Refusal {
            status: error.status().as_u16(),
            message: error.body_text(),
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Refusal::invalid(format!("the body is not what this route takes: {error}")))
    }
}

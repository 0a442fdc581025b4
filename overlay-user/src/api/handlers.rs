//! What each route of the API does, and what the OpenAPI document says of it. Refusals are added there by `openapi`.

use super::{
    extract::{Agent, Body, Segment},
    fdstream::Connection,
    openapi::Document,
    server::{Answer, Control, Refusal},
    types::{
        Accepted, Change, DropInfo, EndpointAdd, EndpointInfo, ErrorBody, IpamFault, IpamInfo, KeyInfo,
        KeyInstall, KeyInstalled, NetworkCreate, NetworkInfo, NodeInfo, Reserve, Row, Status, Table,
    },
};
use crate::netns::NamespaceFds;
use axum::{
    Extension, Json,
    extract::ConnectInfo,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// How the node is.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status)))]
pub(super) async fn status<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.status().await)
}

/// All nodes.
#[utoipa::path(get, path = "/v1/nodes", responses((status = 200, body = Vec<NodeInfo>)))]
pub(super) async fn nodes<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.nodes().await)
}

/// What has changed in the cluster, as far back as it is kept.
#[utoipa::path(get, path = "/v1/events", responses((status = 200, body = Vec<Change>)))]
pub(super) async fn events<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.events().await)
}

/// How the addresses of all networks are used.
#[utoipa::path(get, path = "/v1/ipam", responses((status = 200, body = Vec<IpamInfo>)))]
pub(super) async fn ipam<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.ipam().await)
}

/// What is wrong with the use of addresses.
#[utoipa::path(get, path = "/v1/ipam-check", responses((status = 200, body = Vec<IpamFault>)))]
pub(super) async fn ipam_check<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.ipam_check().await)
}

/// Reserves a prefix of a network, of which no address is leased then; or ends that.
#[utoipa::path(
    post,
    path = "/v1/networks/{name}/reserved",
    params(("name" = String, Path, description = "Its name.")),
    request_body = Reserve,
    responses((status = 201, body = IpamInfo))
)]
pub(super) async fn ipam_reserve<C: Control>(
    Agent(control): Agent<C>,
    Segment(name): Segment,
    Body(reserve): Body<Reserve>,
) -> Response {
    created(control.ipam_reserve(name, reserve).await)
}

/// Says that it is meant where most endpoints are gone at once; answers how many were kept until then.
#[utoipa::path(post, path = "/v1/accept", responses((status = 200, body = Accepted)))]
pub(super) async fn accept<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.accept().await)
}

/// The keys of the gossip, and which nodes have each.
#[utoipa::path(get, path = "/v1/keys", responses((status = 200, body = Vec<KeyInfo>)))]
pub(super) async fn keys<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.keys().await)
}

/// Installs a key on this node: one that a token has, or a new one.
#[utoipa::path(
    post,
    path = "/v1/keys",
    request_body = KeyInstall,
    responses((status = 201, body = KeyInstalled))
)]
pub(super) async fn key_install<C: Control>(
    Agent(control): Agent<C>,
    Body(install): Body<KeyInstall>,
) -> Response {
    created(control.key_install(install).await)
}

/// Has this node seal with a key from now on; refused while a node has it not.
#[utoipa::path(
    post,
    path = "/v1/keys/{id}/use",
    params(("id" = String, Path, description = "Its identifier.")),
    responses((status = 200, body = Vec<KeyInfo>))
)]
pub(super) async fn key_use<C: Control>(Agent(control): Agent<C>, Segment(id): Segment) -> Response {
    reply(control.key_use(id).await)
}

/// Removes a key from this node; refused while a node seals with it.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    params(("id" = String, Path, description = "Its identifier.")),
    responses((status = 204, description = "It is removed."))
)]
pub(super) async fn key_remove<C: Control>(Agent(control): Agent<C>, Segment(id): Segment) -> Response {
    deleted(control.key_remove(id).await)
}

/// All drop counters, also those at zero.
#[utoipa::path(get, path = "/v1/drops", responses((status = 200, body = Vec<DropInfo>)))]
pub(super) async fn drops<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.drops().await)
}

/// The rows of a table as the kernel holds it, all of one kind.
#[utoipa::path(
    get,
    path = "/v1/dump/{table}",
    params(("table" = Table, Path, description = "Which table.")),
    responses((status = 200, body = Vec<Row>))
)]
pub(super) async fn dump<C: Control>(Agent(control): Agent<C>, Segment(table): Segment) -> Response {
    if let Ok(table) = serde_json::from_value::<Table>(table.clone().into()) {
        reply(control.dump(table).await)
    } else {
        let message = format!("there is no table {table:?}; use fdb, neigh, vteps, ports or flood");
        Refusal::not_found(message).into_response()
    }
}

/// All networks.
#[utoipa::path(get, path = "/v1/networks", responses((status = 200, body = Vec<NetworkInfo>)))]
pub(super) async fn networks<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.networks().await)
}

/// One network.
#[utoipa::path(
    get,
    path = "/v1/networks/{name}",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, body = NetworkInfo))
)]
pub(super) async fn network<C: Control>(Agent(control): Agent<C>, Segment(name): Segment) -> Response {
    reply(control.network(name).await)
}

/// Creates a network.
#[utoipa::path(
    post,
    path = "/v1/networks",
    request_body = NetworkCreate,
    responses((status = 201, body = NetworkInfo))
)]
pub(super) async fn network_create<C: Control>(
    Agent(control): Agent<C>,
    Body(create): Body<NetworkCreate>,
) -> Response {
    created(control.network_create(create).await)
}

/// Deletes a network.
#[utoipa::path(
    delete,
    path = "/v1/networks/{name}",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It is deleted."))
)]
pub(super) async fn network_delete<C: Control>(Agent(control): Agent<C>, Segment(name): Segment) -> Response {
    deleted(control.network_delete(name).await)
}

/// All endpoints.
#[utoipa::path(get, path = "/v1/endpoints", responses((status = 200, body = Vec<EndpointInfo>)))]
pub(super) async fn endpoints<C: Control>(Agent(control): Agent<C>) -> Response {
    reply(control.endpoints().await)
}

/// One endpoint.
#[utoipa::path(
    get,
    path = "/v1/endpoints/{id}",
    params(("id" = String, Path, description = "Its identifier, or its name where only one has it.")),
    responses((status = 200, body = EndpointInfo))
)]
pub(super) async fn endpoint<C: Control>(Agent(control): Agent<C>, Segment(id): Segment) -> Response {
    reply(control.endpoint(id).await)
}

/// Attaches a container; answers when the endpoint can send and receive.
///
/// Two descriptors must come with the request by `SCM_RIGHTS` (unix(7)), in this order: an rtnetlink socket of the
/// container's network namespace, and the namespace.
#[utoipa::path(
    post,
    path = "/v1/endpoints",
    request_body = EndpointAdd,
    responses((status = 201, body = EndpointInfo))
)]
pub(super) async fn endpoint_add<C: Control>(
    Agent(control): Agent<C>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Body(add): Body<EndpointAdd>,
) -> Response {
    match NamespaceFds::from_received(connection.fds.take()) {
        Ok(namespace) => created(control.endpoint_add(add, namespace).await),
        Err(error) => Refusal::invalid(error.to_string()).into_response(),
    }
}

/// Detaches a container.
#[utoipa::path(
    delete,
    path = "/v1/endpoints/{id}",
    params(("id" = String, Path, description = "Its identifier, or its name where only one has it.")),
    responses((status = 204, description = "It is detached."))
)]
pub(super) async fn endpoint_delete<C: Control>(Agent(control): Agent<C>, Segment(id): Segment) -> Response {
    deleted(control.endpoint_delete(id).await)
}

/// This document.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    responses((status = 200, body = serde_json::Value, description = "OpenAPI 3.1."))
)]
pub(super) async fn openapi(Extension(document): Extension<Document>) -> Response {
    document.into_response()
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

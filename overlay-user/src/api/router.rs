//! The one list of routes, from which the router and the OpenAPI document are made.

use super::{
    access::{Admins, guard},
    handlers,
    openapi::{Document, empty},
    server::{Control, Refusal},
};
use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
    middleware,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The largest body of a request.
const MAX_BODY: usize = 64 * 1024;

pub(super) fn router<C: Control>(control: C, admins: Admins) -> Router {
    let (router, api) = OpenApiRouter::<C>::with_openapi(empty())
        .routes(routes!(handlers::status))
        .routes(routes!(handlers::nodes))
        .routes(routes!(handlers::events))
        .routes(routes!(handlers::ipam))
        .routes(routes!(handlers::ipam_check))
        .routes(routes!(handlers::ipam_reserve))
        .routes(routes!(handlers::accept))
        .routes(routes!(handlers::keys, handlers::key_install))
        .routes(routes!(handlers::key_remove))
        .routes(routes!(handlers::key_use))
        .routes(routes!(handlers::drops))
        .routes(routes!(handlers::dump))
        .routes(routes!(handlers::networks, handlers::network_create))
        .routes(routes!(handlers::network, handlers::network_delete))
        .routes(routes!(handlers::endpoints, handlers::endpoint_add))
        .routes(routes!(handlers::endpoint, handlers::endpoint_delete))
        .routes(routes!(handlers::openapi))
        .split_for_parts();
    router
        .fallback(async |uri: Uri| Refusal::not_found(format!("{} is not in this API", uri.path())))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| Refusal {
            status: 405,
            message: format!("{method} is not for {}", uri.path()),
        })
        .layer(Extension(Document::new(api)))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // Outermost: a body is not read for who may not send one.
        .layer(middleware::from_fn_with_state(admins, guard))
        .with_state(control)
}

//! The OpenAPI document, made of what stands at the handlers and the types.

use super::types::ErrorBody;
use axum::{
    body::Bytes,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, ResponseBuilder,
        path::{Operation, PathItem},
    },
};

/// The document as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Document(Bytes);

impl Document {
    /// Completes what the routes gave.
    pub(super) fn new(mut api: OpenApi) -> Self {
        for path in api.paths.paths.values_mut() {
            let PathItem { get, post, delete, .. } = path;
            for (operation, changes) in [(get, false), (post, true), (delete, true)] {
                if let Some(operation) = operation {
                    add_refusals(operation, changes);
                }
            }
        }
        // It consists of strings and numbers, with strings as keys: that always works.
        Self(serde_json::to_vec(&api).unwrap_or_default().into())
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

/// A document without routes.
pub(super) fn empty() -> OpenApi {
    let info = InfoBuilder::new()
        .title("overlay agent")
        .description(Some(
            "HTTP and JSON on the agent's Unix socket. Whoever may open the socket may read; what changes \
             something is for administrators. Keys are stable; more may be added.",
        ))
        .version(env!("CARGO_PKG_VERSION"));
    let error = ComponentsBuilder::new().schema(ErrorBody::name(), ErrorBody::schema());
    OpenApiBuilder::new().info(info.build()).components(Some(error.build())).build()
}

/// Adds the refusals that a request of this form may meet.
fn add_refusals(operation: &mut Operation, changes: bool) {
    let (named, body) = (operation.parameters.is_some(), operation.request_body.is_some());
    let refusals = [
        (named || body, "400", "The request is wrong in itself."),
        (changes, "403", "It is for administrators."),
        (named || body, "404", "There is no such thing."),
        (changes, "409", "It does not fit the present state."),
        (body, "413", "The body is too large."),
        (true, "500", "It went wrong."),
        (true, "503", "It is not possible yet."),
    ];
    for (_, status, description) in refusals.into_iter().filter(|(possible, ..)| *possible) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name())));
        let response =
            ResponseBuilder::new().description(description).content("application/json", content.build());
        operation.responses.responses.insert(status.into(), response.build().into());
    }
}

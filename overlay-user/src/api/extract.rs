//! What handlers take out of a request.

use super::server::{Control, Refusal};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request, rejection::BytesRejection},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use std::convert::Infallible;

/// The agent. Not axum's `State`: from this the type of a handler follows, so that a list of routes need not
/// name it.
pub(super) struct Agent<C>(pub(super) C);

impl<C: Control> FromRequestParts<C> for Agent<C> {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, control: &C) -> Result<Self, Infallible> {
        Ok(Self(control.clone()))
    }
}

/// The one variable segment of a path.
pub(super) struct Segment(pub(super) String);

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
pub(super) struct Body<T>(pub(super) T);

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

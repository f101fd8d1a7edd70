//! DNS over HTTPS (RFC 8484), for people with a key.

use front::Body;
use http::{Request, Response};

use super::Visitor;

/// The answer to a request that shows a key and is for this room.
pub(super) async fn enter(_: &Visitor, _: &mut Request<Body>) -> Option<Response<Body>> {
    None
}

//! HTTPS proxies, over HTTP/1.1 and HTTP/2: for browsers, and for Apple's devices.

use front::Body;
use http::{Request, Response};

use super::Visitor;

/// The answer to a request that shows a key and is for this room.
pub(super) async fn enter(_: &Visitor, _: &mut Request<Body>) -> Option<Response<Body>> {
    None
}

//! What doors and people say to the hub: JSON over HTTP, described in `docs/hub-api.yaml`. Pure but for
//! the clerk: a request comes in, an answer goes out.
//!
//! | | who | what |
//! |---|---|---|
//! | `POST /v1/ask` | a door | somebody wants a way in |
//! | `GET /v1/seats` | a person | is theirs still the same? |
//! | `POST /v1/report` | a person | does it work? |
//! | `POST /v1/receipts` | a person | what `jaryq reach` found |
//! | `GET /v1/bundle` | a person | their relays in one signed file |
//!
//! A door shows the token that `jaryq hub door` gave it, a person the ticket that came with their
//! links, both as `Authorization: Bearer`. Whoever has neither is nobody here, and is to meet what any
//! stranger meets.

mod said;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::clerk::{Clerk, Refresh, Refused};
use crate::office::{DoorId, Why};

use said::{Ask, Counted, Problem, Report, Seats};

/// The longest body that is read, in bytes.
pub const LONGEST: usize = 64 << 10;
/// In how many seconds whoever found too much going on is to come again.
const BUSY: u32 = 5;

/// The answer to a request; `None` for whoever is nobody here.
pub async fn answer(clerk: &Clerk, request: &Request<Bytes>) -> Option<Response<Bytes>> {
    let bearer = request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let (method, path) = (request.method(), request.uri().path());
    let answered = match (method, path) {
        (&Method::GET, "/v1/seats") => refresh(clerk, bearer, request),
        (&Method::POST, "/v1/ask") => {
            let door = clerk.door_of(bearer)?;
            ask(clerk, door, request.body()).await
        }
        // Before anything is said of what they send.
        _ if !clerk.knows(bearer) => return None,
        (&Method::POST, "/v1/report") => report(clerk, bearer, request.body()).await,
        (&Method::POST, "/v1/receipts") => receipts(clerk, bearer, request.body()).await,
        (&Method::GET, "/v1/bundle") => bundle(clerk, bearer).await,
        _ => return None,
    };
    match answered {
        Ok(response) => Some(response),
        Err(Refused::Ticket) => None,
        Err(refused) => Some(problem(&refused)),
    }
}

async fn ask(clerk: &Clerk, door: DoorId, body: &Bytes) -> Result<Response<Bytes>, Refused> {
    let ask: Ask<'_> = read(body)?;
    let (request, network) = (ask.request()?, ask.network()?);
    let handout = match ask.person.as_deref() {
        Some(person) => clerk.ask(door, person, request, network).await?,
        None => clerk.give(door, request, network).await?,
    };
    Ok(seats(&Seats::of(&handout), &handout.version))
}

fn refresh(
    clerk: &Clerk,
    ticket: &str,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refused> {
    let known = request.headers().get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let known = known.and_then(|known| known.strip_prefix('"')?.strip_suffix('"'));
    Ok(match clerk.refresh(ticket, known)? {
        Refresh::Changed(handout) => seats(&Seats::of(&handout), &handout.version),
        Refresh::Same => {
            let mut same = Response::new(Bytes::new());
            *same.status_mut() = StatusCode::NOT_MODIFIED;
            same
        }
    })
}

async fn report(clerk: &Clerk, ticket: &str, body: &Bytes) -> Result<Response<Bytes>, Refused> {
    let report: Report = read(body)?;
    let handout = clerk.report(ticket, report.works).await?;
    Ok(seats(&Seats::of(&handout), &handout.version))
}

async fn receipts(clerk: &Clerk, ticket: &str, body: &Bytes) -> Result<Response<Bytes>, Refused> {
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= LONGEST);
    let text = text.ok_or(Refused::Bad("receipts come as text of at most 64 KiB"))?;
    let counted = clerk.receipts(ticket, text).await?;
    Ok(json(StatusCode::OK, &Counted { counted }))
}

async fn bundle(clerk: &Clerk, ticket: &str) -> Result<Response<Bytes>, Refused> {
    let sealed = clerk.bundle(ticket).await?;
    let mut response = Response::new(Bytes::from(sealed.text() + "\n"));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn read<'a, T: serde::Deserialize<'a>>(body: &'a Bytes) -> Result<T, Refused> {
    if body.len() > LONGEST {
        return Err(Refused::Bad("a request has at most 64 KiB"));
    }
    serde_json::from_slice(body).map_err(|_| Refused::Bad("this is not the JSON that is asked for"))
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Response<Bytes> {
    // Only maps with keys that are no text cannot be written, and there are none.
    let mut response = Response::new(serde_json::to_vec(body).unwrap_or_default().into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn seats(seats: &Seats<'_>, version: &str) -> Response<Bytes> {
    let mut response = json(StatusCode::OK, seats);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn problem(refused: &Refused) -> Response<Bytes> {
    let status = match refused {
        Refused::Bad(_) => StatusCode::BAD_REQUEST,
        Refused::Office(Why::Request) => StatusCode::CONFLICT,
        Refused::Office(Why::Unknown(_)) | Refused::Ticket => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = json(status, &Problem { error: refused.to_string() });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, BUSY.into());
    }
    response
}

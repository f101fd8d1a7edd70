//! Questions and answers of DNS (RFC 1035, RFC 6891).

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{
    Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_resolver::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_resolver::proto::rr::{DNSClass, RecordType};
use tokio::time::{Instant, timeout_at};

use super::inside;
use crate::names::Names;

/// How long a message is at least: as long as its header.
const HEADER: usize = 12;
/// What answers are as long as a multiple of, where the question was padded too (RFC 8467).
const BLOCK: usize = 468;
/// What an option of padding adds beside the padding.
const OPTION: usize = 4;
/// The option's number (RFC 7830).
const PADDING: u16 = 12;
/// How long a datagram we would take, if there were datagrams.
const PAYLOAD: u16 = 1232;

/// An answer.
pub(super) struct Answer {
    pub message: Vec<u8>,
    /// How long it may be kept.
    pub seconds: u32,
}

/// The answer to a question: that of the name servers, without what is not public. `None` if it is no
/// question at all.
pub(super) async fn answer(question: &[u8], names: &Names, until: Instant) -> Option<Answer> {
    let &[first, second, ..] = question.get(..HEADER)? else { return None };
    let Ok(asked) = Message::from_vec(question) else {
        let id = u16::from_be_bytes([first, second]);
        let reply = Message::error_msg(id, OpCode::Query, ResponseCode::FormErr);
        return Some(Answer { message: reply.to_vec().ok()?, seconds: 0 });
    };
    let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&asked.metadata);
    reply.metadata.recursion_available = true;
    reply.queries.clone_from(&asked.queries);
    let seconds = match wish(&asked) {
        Ok(query) => fill(&mut reply, query, names, until).await,
        Err(code) => {
            reply.metadata.response_code = code;
            0
        }
    };
    // Of their options, a client's network among them, nothing is passed on.
    let mut is_padded = false;
    if let Some(theirs) = &asked.edns {
        is_padded = theirs.option(EdnsCode::Padding).is_some();
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        reply.edns = Some(edns);
    }
    Some(Answer { message: written(reply, is_padded)?, seconds })
}

/// The one thing that is asked, if it is something that a resolver answers.
fn wish(asked: &Message) -> Result<&Query, ResponseCode> {
    if asked.metadata.op_code != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    let [query] = &asked.queries[..] else { return Err(ResponseCode::FormErr) };
    if asked.metadata.message_type != MessageType::Query {
        return Err(ResponseCode::FormErr);
    }
    if asked.version() > 0 {
        return Err(ResponseCode::BADVERS);
    }
    match (query.query_class(), u16::from(query.query_type())) {
        // Everything at once (RFC 8482), and what is about messages and not about names (RFC 6895).
        (DNSClass::IN, 0 | 128..=255) => Err(ResponseCode::NotImp),
        (DNSClass::IN, _) if query.query_type() == RecordType::OPT => Err(ResponseCode::FormErr),
        (DNSClass::IN, _) => Ok(query),
        _ => Err(ResponseCode::Refused),
    }
}

/// Asks the name servers; gives how long what they say may be kept, in seconds.
async fn fill(reply: &mut Message, query: &Query, names: &Names, until: Instant) -> u32 {
    if inside::is_inside(query.name()) {
        reply.metadata.response_code = ResponseCode::NXDomain;
        return 0;
    }
    let asking = names.ask(query.name().clone(), query.query_type());
    match timeout_at(until, asking).await {
        Ok(Ok(found)) => {
            reply.metadata.response_code = found.message().metadata.response_code;
            let seconds = found.answers().iter().map(|record| record.ttl).min();
            let public = found.answers().iter().filter(|record| inside::is_public(record));
            reply.answers.extend(public.cloned());
            seconds.unwrap_or(0)
        }
        Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
            reply.metadata.response_code = none.response_code;
            let seconds = none.negative_ttl.unwrap_or(0);
            if let Some(mut zone) = none.soa {
                zone.ttl = seconds;
                reply.authorities.push(zone.into_record_of_rdata());
            }
            seconds
        }
        Ok(Err(_)) | Err(_) => {
            reply.metadata.response_code = ResponseCode::ServFail;
            0
        }
    }
}

/// A message's bytes. What is too long for any message is none: over HTTP nobody can ask again by
/// another way.
fn written(mut reply: Message, is_padded: bool) -> Option<Vec<u8>> {
    const CUT: u8 = 2;
    let whole = |reply: &Message| reply.to_vec().ok().filter(|bytes| bytes[2] & CUT == 0);
    let Some(bytes) = whole(&reply) else {
        reply.answers.clear();
        reply.authorities.clear();
        reply.metadata.response_code = ResponseCode::ServFail;
        return whole(&reply);
    };
    if !is_padded {
        return Some(bytes);
    }
    let padding = (bytes.len() + OPTION).next_multiple_of(BLOCK) - bytes.len() - OPTION;
    reply.edns.as_mut()?.options_mut().insert(EdnsOption::Unknown(PADDING, vec![0; padding]));
    whole(&reply).or(Some(bytes))
}

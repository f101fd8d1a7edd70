//! What people with a key find at the relay's own website, beside what it carries: their page, and the
//! files that it leads to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use data_encoding::HEXLOWER;
use front::pages::visit::MAX_BODY;
use front::pages::{self, Openings, Page, Visit, pac, profile};
use front::{Body, body};
use http::header::ACCEPT_LANGUAGE;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use relay::{Answering, refused};
use store::{Key, Store};
use tokio::sync::Mutex;
use tokio::time::timeout;
use wire::derive::{Form, KeyId};
use wire::doorway::Doorway;

use crate::face::{Access, LinkMaker, Links};
use crate::ledger::unix;
use crate::rooms::{PAC, PROFILE};
use crate::watch::tell;

/// How long a form may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// The secret part of an address.
type Token = [u8; 16];

/// What an address leads to.
#[derive(Clone, Copy)]
enum What {
    /// The page of the link of this number.
    Page(u32),
    Pac,
    Profile,
}

/// Answers people with a key. It knows nobody until it is told.
pub(crate) struct Desk {
    store: Store,
    known: ArcSwapOption<Known>,
    /// Held while a page is opened: two openings at the same time are two.
    opening: Mutex<()>,
    json: bool,
}

/// Whom it knows, and what they are given.
struct Known {
    maker: LinkMaker,
    addresses: HashMap<Token, (What, Access)>,
    /// Which of its links is a key's valid one.
    numbers: HashMap<KeyId, u32>,
}

impl Desk {
    pub(crate) fn new(store: Store, json: bool) -> Self {
        Self { store, known: ArcSwapOption::empty(), opening: Mutex::default(), json }
    }

    /// From now on these keys have pages, with these links on them.
    pub(crate) async fn know(&self, maker: LinkMaker, keys: &[Key]) -> anyhow::Result<()> {
        let newer: HashMap<KeyId, u32> = self.store.page_numbers().await?.into_iter().collect();
        let valid = keys.iter().filter(|key| key.revoked.is_none());
        let number = |key: &Key| newer.get(&key.id).copied().unwrap_or_default();
        let numbers: HashMap<KeyId, u32> = valid.clone().map(|key| (key.id, number(key))).collect();
        // What is known already is not derived again.
        let (mut addresses, before) = match &*self.known.load() {
            Some(known) => (known.addresses.clone(), known.numbers.clone()),
            None => Default::default(),
        };
        addresses.retain(|_, (_, access)| numbers.get(&access.id) == before.get(&access.id));
        for key in valid.filter(|key| numbers.get(&key.id) != before.get(&key.id)) {
            let Some(rooms) = maker.rooms(key.id) else { continue };
            let access = Access { id: key.id, form: key.form, cleartext: key.cleartext };
            let number = number(key);
            let mut add = |text: &str, what| {
                addresses.extend(token(text).map(|token| (token, (what, access))));
            };
            add(&rooms.setup_link(number).token(), What::Page(number));
            if key.form == Form::Web {
                add(&rooms.token(Doorway::Pac), What::Pac);
                add(&rooms.token(Doorway::Apple), What::Profile);
            }
        }
        self.known.store(Some(Arc::new(Known { maker, addresses, numbers })));
        Ok(())
    }

    /// Leaves the request as it is, unless it shows a key. The website hears of no address that does.
    async fn answer(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        let known = self.known.load_full()?;
        let path = request.uri().path();
        let (first, rest) = match path.get(1..)?.find('/') {
            Some(slash) => path.split_at(slash + 1),
            None => (path, ""),
        };
        let &(what, access) = known.addresses.get(&token(first.strip_prefix('/')?)?)?;
        let method = request.method().clone();
        let reads = matches!(method, Method::GET | Method::HEAD);
        let file = rest.strip_prefix('/');
        let (page, allowed) = match what {
            What::Page(number) => {
                let (first, rest) = (first.to_owned(), rest.to_owned());
                let allowed = if rest.is_empty() { "GET, HEAD, POST" } else { "" };
                (self.visit(&known.maker, access, number, request, &first, &rest).await, allowed)
            }
            What::Pac if file == Some(PAC) => {
                let proxy = known.maker.rooms(access.id)?.proxy()?;
                (reads.then(|| pac::pac(&proxy)), "GET, HEAD")
            }
            What::Profile if file == Some(PROFILE) => {
                (for_apple(&known.maker, access).filter(|_| reads), "GET, HEAD")
            }
            What::Pac | What::Profile => (None, ""),
        };
        match page {
            Some(page) => sent(page, method == Method::HEAD),
            None => Some(refused(&method, allowed)),
        }
    }

    /// Somebody at their page.
    async fn visit(
        &self,
        maker: &LinkMaker,
        access: Access,
        number: u32,
        request: &mut Request<Body>,
        path: &str,
        rest: &str,
    ) -> Option<Page> {
        let rooms = maker.rooms(access.id)?;
        let links = maker.links_of(access).ok()?;
        let person = rooms.person(&links);
        let form = match *request.method() {
            Method::POST if rest.is_empty() => read(request).await,
            _ => Some(Vec::new()),
        };
        let language = request.headers().get(ACCEPT_LANGUAGE);
        let visit = Visit {
            // What did not arrive whole opens nothing: they see the button again.
            method: if form.is_some() { request.method().as_str() } else { "GET" },
            path,
            rest,
            query: request.uri().query(),
            accept_language: language.and_then(|value| value.to_str().ok()),
            body: form.as_deref().unwrap_or_default(),
            now: unix(),
        };
        let _alone = self.opening.lock().await;
        match self.opened(&visit, access.id, number, &rooms.setup_link(number), &person).await {
            Ok(page) => page,
            Err(error) => {
                tell("page", &format!("a page cannot be opened: {error}"), self.json);
                None
            }
        }
    }

    /// What they are shown; that it was opened is on the disk before.
    async fn opened(
        &self,
        visit: &Visit<'_>,
        id: KeyId,
        number: u32,
        link: &pages::SetupLink,
        person: &pages::Person,
    ) -> Result<Option<Page>, store::Error> {
        let kept = self.store.page(id).await?;
        if kept.number != number {
            // A newer link was made this very moment.
            return Ok(None);
        }
        let before = Openings::from_bytes(kept.openings);
        let mut openings = before;
        let page = visit.answer(link, person, &mut openings);
        if openings != before {
            let kept = store::Page { number, openings: openings.to_bytes() };
            if !self.store.set_openings(id, kept).await? {
                return Ok(None);
            }
        }
        Ok(page)
    }
}

impl relay::Desk for Desk {
    fn ask<'a>(&'a self, request: &'a mut Request<Body>) -> Answering<'a> {
        Box::pin(self.answer(request))
    }
}

fn token(text: &str) -> Option<Token> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// A form, unless it is too long, takes too long or breaks off.
async fn read(request: &mut Request<Body>) -> Option<Vec<u8>> {
    let form = std::mem::replace(request.body_mut(), body::empty());
    let form = timeout(PATIENCE, Limited::new(form, MAX_BODY).collect()).await;
    Some(form.ok()?.ok()?.to_bytes().to_vec())
}

fn for_apple(maker: &LinkMaker, access: Access) -> Option<Page> {
    let rooms = maker.rooms(access.id)?;
    let Links::Web(links) = maker.links_of(access).ok()? else { return None };
    let own = links.own?;
    let (relay, user, password) = (rooms.apple_relay(), own.user, own.password);
    let name = rooms.house.host.as_str();
    Some(profile::profile(&profile::Profile {
        name,
        relay: &relay,
        user: &user,
        password: &password,
    }))
}

fn sent(page: Page, is_head: bool) -> Option<Response<Body>> {
    let mut answer = Response::builder().status(page.status);
    for (name, value) in page.headers {
        answer = answer.header(name, value);
    }
    let body = if is_head { body::empty() } else { body::full(page.body) };
    answer.body(body).ok()
}

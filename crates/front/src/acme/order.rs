//! One order, from the account to the certificate.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::client::{Client, Told};
use super::dns::Presented;
use super::{Acme, Keeper, Proof, slug};
use crate::Name;
use crate::certificates::Proving;
use crate::notices::Notice;

/// From how many seconds on a difference between clocks is worth a word.
const NOTABLE: i64 = 3600;
/// How long an authority may take to check proofs and to issue.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(180));

/// What an authority says to whom it does not know.
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// There is no certificate.
pub(super) struct Refused {
    pub why: String,
    /// For how long the authority does not want to be asked.
    pub retry_after: Option<Duration>,
}

impl Refused {
    pub(super) fn because(why: impl Display) -> Self {
        Self { why: why.to_string(), retry_after: None }
    }
}

/// A proof that is held ready until it is dropped, or taken away.
enum Ready {
    Hello { _proving: Proving },
    Dns(Presented),
}

/// Asks for a certificate; that and its key, in PEM.
pub(super) async fn ask(acme: &Acme, keeper: &Keeper) -> Result<(String, String), Refused> {
    let told = Arc::new(Mutex::new(Told::default()));
    let asked = ask_once(acme, keeper, &told).await;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(seconds) = told.ahead.filter(|seconds| seconds.abs() >= NOTABLE) {
        keeper.notices.say(Notice::ClockDiffers { seconds });
    }
    asked.map_err(|refused| Refused { retry_after: told.retry_after, ..refused })
}

async fn ask_once(
    acme: &Acme,
    keeper: &Keeper,
    told: &Arc<Mutex<Told>>,
) -> Result<(String, String), Refused> {
    let trust = crate::outgoing::trust(acme.roots.as_deref()).map_err(Refused::because)?;
    let client = Client { trust, told: Arc::clone(told) };
    let account = account(acme, keeper, client).await?;
    let identifiers: Vec<_> = acme
        .names
        .iter()
        .map(|name| match name {
            Name::Address(ip) => Identifier::Ip(*ip),
            name => Identifier::Dns(name.to_string()),
        })
        .collect();
    let mut order = NewOrder::new(&identifiers);
    if let Some(profile) = acme.profile() {
        order = order.profile(profile);
    }
    let ordered = account.new_order(&order).await;
    if let Err(Error::Api(problem)) = &ordered
        && problem.r#type.as_deref() == Some(NO_ACCOUNT)
    {
        // It has forgotten us; the next attempt begins with a new account.
        keeper.write(|kept| kept.write(&account_file(acme), b""));
    }
    let mut order = ordered.map_err(|error| refused(&error))?;
    let mut ready = Vec::new();
    let issued = prove_and_fetch(acme, keeper, &mut order, &mut ready).await;
    for proof in ready {
        if let Ready::Dns(presented) = proof {
            presented.take_away().await;
        }
    }
    issued
}

fn account_file(acme: &Acme) -> String {
    format!("account-{}.json", slug(&[], &acme.directory))
}

/// The account that is kept, or a new one.
async fn account(acme: &Acme, keeper: &Keeper, client: Client) -> Result<Account, Refused> {
    let file = account_file(acme);
    let builder = Account::builder_with_http(Box::new(client));
    let kept = keeper.kept.read(&file).ok().flatten();
    if let Some(credentials) =
        kept.and_then(|bytes| serde_json::from_slice::<AccountCredentials>(&bytes).ok())
    {
        return builder.from_credentials(credentials).await.map_err(|error| refused(&error));
    }
    let new =
        NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder
        .create(&new, acme.directory.clone(), None)
        .await
        .map_err(|error| refused(&error))?;
    let credentials = serde_json::to_vec(&credentials).map_err(Refused::because)?;
    keeper.write(|kept| kept.write(&file, &credentials));
    Ok(account)
}

async fn prove_and_fetch(
    acme: &Acme,
    keeper: &Keeper,
    order: &mut Order,
    ready: &mut Vec<Ready>,
) -> Result<(String, String), Refused> {
    let kind = match acme.proof {
        Proof::TlsAlpn => ChallengeType::TlsAlpn01,
        Proof::Dns(_) => ChallengeType::Dns01,
    };
    // All are held ready before the authority is told of the first: records take their time.
    let mut all = order.authorizations();
    while let Some(authorization) = all.next().await {
        let mut authorization = authorization.map_err(|error| refused(&error))?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = match authorization.identifier().identifier {
            Identifier::Dns(name) => Name::Host(name.clone()),
            Identifier::Ip(ip) => Name::Address(*ip),
            _ => return Err(Refused::because("the authority speaks of something else")),
        };
        let challenge = authorization.challenge(kind.clone()).ok_or_else(|| {
            Refused::because(format!("the authority offers no {kind:?} for {name}"))
        })?;
        let key = challenge.key_authorization();
        ready.push(match &acme.proof {
            Proof::TlsAlpn => {
                let proof = Arc::new(proof(&name, key.digest().as_ref())?);
                Ready::Hello { _proving: keeper.table.prove(name.in_hello(), proof) }
            }
            Proof::Dns(dns) => Ready::Dns(
                dns.present(&name.host(), key.dns_value()).await.map_err(Refused::because)?,
            ),
        });
    }
    if let Proof::Dns(dns) = &acme.proof {
        let records = ready.iter().filter_map(|proof| match proof {
            Ready::Dns(presented) => Some(presented),
            Ready::Hello { .. } => None,
        });
        dns.settle(records).await;
    }
    let mut all = order.authorizations();
    while let Some(authorization) = all.next().await {
        let mut authorization = authorization.map_err(|error| refused(&error))?;
        if authorization.status == AuthorizationStatus::Pending
            && let Some(mut challenge) = authorization.challenge(kind.clone())
        {
            challenge.set_ready().await.map_err(|error| refused(&error))?;
        }
    }
    let status = order.poll_ready(&PATIENCE).await.map_err(|error| refused(&error))?;
    if status != OrderStatus::Ready {
        return Err(Refused::because(what_failed(order).await));
    }
    let (request, key) = request(&acme.names)?;
    order.finalize_csr(&request).await.map_err(|error| refused(&error))?;
    let certificate = order.poll_certificate(&PATIENCE).await.map_err(|error| refused(&error))?;
    Ok((certificate, key))
}

/// What an authority shows when it was not convinced.
async fn what_failed(order: &mut Order) -> String {
    let mut reasons = Vec::new();
    let mut all = order.authorizations();
    while let Some(Ok(mut authorization)) = all.next().await {
        if let Ok(state) = authorization.refresh().await {
            let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            reasons.extend(errors.map(ToString::to_string));
        }
    }
    if reasons.is_empty() { "the authority was not convinced".into() } else { reasons.join("; ") }
}

/// A signing request in DER, and its new key in PEM.
fn request(names: &[Name]) -> Result<(Vec<u8>, String), Refused> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).map_err(Refused::because)?;
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate().map_err(Refused::because)?;
    let request = params.serialize_request(&key).map_err(Refused::because)?;
    Ok((request.der().to_vec(), key.serialize_pem()))
}

/// The certificate that proves that we know what the authority told us (RFC 8737, 3).
fn proof(name: &Name, digest: &[u8]) -> Result<CertifiedKey, Refused> {
    let mut params = CertificateParams::new(vec![name.to_string()]).map_err(Refused::because)?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(Refused::because)?;
    let certificate = params.self_signed(&key).map_err(Refused::because)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    // Not checked for belonging together: the proof is a critical extension that rustls does not know.
    let key = default_provider().key_provider.load_private_key(key).map_err(Refused::because)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

fn refused(error: &Error) -> Refused {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        why = format!("{why}: {error}");
        source = error.source();
    }
    Refused::because(why)
}

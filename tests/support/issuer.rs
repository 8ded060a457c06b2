//! An issuer of tokens elsewhere, such as GitHub Actions, on this host.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use http::header::LOCATION;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A key that nobody uses for anything else. Making one takes a second.
const RSA: &[u8] = include_bytes!("issuer-rsa.pem");

/// An issuer with a discovery document and a key set.
#[derive(Debug)]
pub(crate) struct Issuer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: Option<DropGuard>,
}

#[derive(Debug)]
struct Shared {
    discovery: Answer,
    key_set: Answer,
    /// Paths that were asked for.
    asked: Vec<String>,
    key: Key,
}

/// What it says to one of the two questions.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Json(Value),
    Text(String),
    Status(StatusCode),
    Redirect(String),
}

/// A key that tokens are signed with.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    Rsa,
    /// In PKCS #8.
    Ec(Vec<u8>),
}

impl Key {
    /// A new one.
    pub(crate) fn ec() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        Self::Ec(pair.expect("random bytes").as_ref().to_vec())
    }

    fn rsa() -> RsaKeyPair {
        let der = PrivateKeyDer::from_pem_slice(RSA).expect("a key");
        RsaKeyPair::from_pkcs8(der.secret_der()).expect("a key")
    }

    fn pair(pkcs8: &[u8]) -> EcdsaKeyPair {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &SystemRandom::new()).expect("a key")
    }

    /// Its name in tokens and in the key set.
    fn id(&self) -> String {
        match self {
            Self::Rsa => "rsa".to_owned(),
            Self::Ec(pkcs8) => encode(&Self::pair(pkcs8).public_key().as_ref()[1..9]),
        }
    }

    /// Its public half, as key sets have it.
    pub(crate) fn public(&self) -> Value {
        match self {
            Self::Rsa => {
                let PublicKeyComponents { n, e } =
                    PublicKeyComponents::<Vec<u8>>::from(Self::rsa().public());
                json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id(), "n": encode(&n), "e": encode(&e) })
            }
            Self::Ec(pkcs8) => {
                let pair = Self::pair(pkcs8);
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": self.id(), "x": encode(x), "y": encode(y) })
            }
        }
    }

    /// A token that says `claims`.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let algorithm = match self {
            Self::Rsa => "RS256",
            Self::Ec(_) => "ES256",
        };
        let header = json!({ "typ": "JWT", "alg": algorithm, "kid": self.id() });
        let message = unsigned(&header, claims);
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa => {
                let pair = Self::rsa();
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    message.as_bytes(),
                    &mut signature,
                )
                .expect("a signature");
                signature
            }
            Self::Ec(pkcs8) => {
                let signature = Self::pair(pkcs8).sign(&random, message.as_bytes());
                signature.expect("a signature").as_ref().to_vec()
            }
        };
        format!("{message}.{}", encode(&signature))
    }
}

/// What a signature is made of.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| encode(part.to_string().as_bytes()));
    format!("{header}.{claims}")
}

fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

impl Issuer {
    /// One that signs with an RSA key.
    pub(crate) async fn start() -> Self {
        let shared = Shared {
            discovery: Answer::Json(Value::Null),
            key_set: Answer::Json(json!({ "keys": [Key::Rsa.public()] })),
            asked: Vec::new(),
            key: Key::Rsa,
        };
        let mut issuer = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            shared: Arc::new(Mutex::new(shared)),
            serving: None,
        };
        issuer.come_back().await;
        let url = issuer.url();
        let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        issuer.discovers(Answer::Json(discovery));
        issuer
    }

    /// What its tokens name it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the actors are named that it vouches for, up to their subject.
    pub(crate) fn actors(&self) -> String {
        format!("{}:", self.address)
    }

    fn locked(&self) -> MutexGuard<'_, Shared> {
        locked(&self.shared)
    }

    /// A token with these claims besides those that say whose it is and until when: an hour from `now`, in seconds.
    pub(crate) fn token(&self, now: i64, claims: Value) -> String {
        let key = self.locked().key.clone();
        key.sign(&self.claims(now, claims))
    }

    /// The claims of such a token.
    pub(crate) fn claims(&self, now: i64, claims: Value) -> Value {
        let mut whole = json!({ "iss": self.url(), "aud": "traffic-cop", "iat": now, "nbf": now, "exp": now + 3_600 });
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        whole.as_object_mut().expect("an object").extend(claims);
        whole
    }

    /// Says this to who asks for its discovery document.
    pub(crate) fn discovers(&self, answer: Answer) {
        self.locked().discovery = answer;
    }

    /// Says this to who asks for its keys.
    pub(crate) fn has_keys(&self, answer: Answer) {
        self.locked().key_set = answer;
    }

    /// Signs with another key from now on, and publishes it alone.
    pub(crate) fn rotate(&self, key: Key) {
        self.has_keys(Answer::Json(json!({ "keys": [key.public()] })));
        self.locked().key = key;
    }

    /// The paths that were asked for since the last call.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.locked().asked)
    }

    /// Nobody is at its address any more.
    pub(crate) fn go_away(&mut self) {
        self.serving = None;
    }

    /// Answers again where it did before.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("a port");
        self.address = listener.local_addr().expect("an address");
        let router = Router::new()
            .fallback(answer)
            .with_state(self.shared.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                served = axum::serve(listener, router) => served.expect("a server"),
            }
        });
        self.serving = Some(stop.drop_guard());
    }
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let mut shared = locked(&shared);
    let path = request.uri().path().to_owned();
    let answer = match path.as_str() {
        "/.well-known/openid-configuration" => shared.discovery.clone(),
        "/keys" => shared.key_set.clone(),
        _ => Answer::Status(StatusCode::NOT_FOUND),
    };
    shared.asked.push(path);
    match answer {
        Answer::Json(value) => value.to_string().into_response(),
        Answer::Text(text) => text.into_response(),
        Answer::Status(status) => status.into_response(),
        Answer::Redirect(to) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
    }
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The signatures of JWTs by *ring*, which TLS needs anyway. The JWT library's own backends would bring a second set of
//! primitives; one of them an implementation of RSA with an open advisory (RUSTSEC-2023-0071).

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{self as primitive, Ed25519KeyPair, RsaPublicKeyComponents};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // For making key sets, which nobody does here.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes *ring* the JWT library's backend in this process. To be called before any token is signed or proved.
pub(in crate::access) fn install() {
    // An error means that it is installed already.
    let _ = RING.install_default();
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    match algorithm {
        Algorithm::EdDSA if key.family() == AlgorithmFamily::Ed => {
            // Unchecked: files made by OpenSSL leave the public half out.
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes());
            let pair = pair.map_err(|_| ErrorKind::InvalidEddsaKey)?;
            Ok(Box::new(Ed25519Signer(pair)))
        }
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let primitive: Primitive = match algorithm {
        Algorithm::RS256 => Primitive::Rsa(&primitive::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Primitive::Rsa(&primitive::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Primitive::Rsa(&primitive::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Primitive::Rsa(&primitive::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Primitive::Rsa(&primitive::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Primitive::Rsa(&primitive::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Primitive::Other(&primitive::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Primitive::Other(&primitive::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Primitive::Other(&primitive::ED25519),
        // Symmetric, or newer than this.
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    if !key.family().algorithms().contains(algorithm) {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(RingVerifier {
        algorithm: *algorithm,
        primitive,
        key: key.kind().clone(),
    }))
}

struct Ed25519Signer(Ed25519KeyPair);

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

enum Primitive {
    /// Keys are given by their numbers.
    Rsa(&'static primitive::RsaParameters),
    /// Keys are given by their bytes.
    Other(&'static dyn primitive::VerificationAlgorithm),
}

struct RingVerifier {
    algorithm: Algorithm,
    primitive: Primitive,
    key: DecodingKeyKind,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature::Error> {
        let outcome = match (&self.primitive, &self.key) {
            (Primitive::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signed)
            }
            (Primitive::Other(algorithm), DecodingKeyKind::SecretOrDer(key)) => {
                primitive::UnparsedPublicKey::new(*algorithm, key).verify(message, signed)
            }
            // A key in a form that no key set has.
            (Primitive::Rsa(_) | Primitive::Other(_), _) => Err(ring::error::Unspecified),
        };
        outcome.map_err(|ring::error::Unspecified| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Some key sets write numbers with leading zeros, which *ring* takes for another encoding.
fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|digit| *digit != 0);
    &number[start.unwrap_or(number.len())..]
}

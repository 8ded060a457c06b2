//! The keys of access tokens: named by the settings, or made beside an embedded store so that it works out of the box.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use crate::access::Keyring;
use crate::access::oauth::sources::{KeyFiles, Sources};
use crate::access::oauth::{SigningKeys, generate};
use crate::config::ServeArgs;

/// Gives `keyring` the keys there are. Returns the files to look at for others, if they are in files.
///
/// # Errors
/// Keys are named that cannot be read, or none can be made.
pub(super) fn load(
    args: &ServeArgs,
    is_embedded: bool,
    keyring: &Arc<Keyring>,
) -> anyhow::Result<Option<KeyFiles>> {
    if let Some(pem) = &args.oauth_signing_key_pem {
        let keys = SigningKeys::from_pem(pem.reveal().as_bytes());
        keyring.set_signing_keys(keys.context("TRAFFIC_COP_OAUTH_SIGNING_KEY_PEM")?);
        return Ok(None);
    }
    let mut paths = args.oauth_signing_key.clone();
    if paths.is_empty() {
        if !is_embedded {
            return Ok(None);
        }
        let file = args.store.signing_key_file();
        if !file.exists() {
            make(&file)?;
        }
        paths.push(file);
    }
    let sources = Sources::new(paths);
    let texts = sources.read().context("the signing keys")?;
    keyring.set_signing_keys(SigningKeys::from_pem(&texts)?);
    Ok(Some(KeyFiles::new(sources, texts, Arc::clone(keyring))))
}

/// Makes a key and writes it where only this user can read it.
fn make(file: &Path) -> anyhow::Result<()> {
    let key = generate().map_err(|_| anyhow!("the system gives no random bytes"))?;
    let mut options = OpenOptions::new();
    let created = options.write(true).create_new(true).mode(0o600).open(file);
    let mut created =
        created.with_context(|| format!("cannot write the signing key {}", file.display()))?;
    created.write_all(key.as_bytes())?;
    Ok(created.sync_all()?)
}

//! The first admin token: the way in before there are other tokens.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context as _;

use crate::access::token::TokenText;
use crate::config::ServeArgs;

/// The token named by the settings; beside an embedded store, the one in the data directory, made if there is none.
///
/// # Errors
/// A file cannot be read or written, or holds no token.
pub(super) fn token(args: &ServeArgs, is_embedded: bool) -> anyhow::Result<Option<TokenText>> {
    if let Some(token) = &args.admin_token {
        return token
            .reveal()
            .trim()
            .parse()
            .map(Some)
            .context("TRAFFIC_COP_ADMIN_TOKEN");
    }
    if let Some(file) = &args.admin_token_file {
        return read(file).map(Some);
    }
    if !is_embedded {
        return Ok(None);
    }
    let file = args.store.admin_token_file();
    if file.exists() {
        read(&file).map(Some)
    } else {
        make(&file).map(Some)
    }
}

fn read(file: &Path) -> anyhow::Result<TokenText> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read the admin token {}", file.display()))?;
    text.trim()
        .parse()
        .with_context(|| format!("the admin token {}", file.display()))
}

/// Draws a token and writes it where only this user can read it.
fn make(file: &Path) -> anyhow::Result<TokenText> {
    let token = TokenText::draw();
    let mut options = OpenOptions::new();
    let created = options.write(true).create_new(true).mode(0o600).open(file);
    let mut created =
        created.with_context(|| format!("cannot write the admin token {}", file.display()))?;
    writeln!(created, "{}", token.reveal())?;
    created.sync_all()?;
    Ok(token)
}

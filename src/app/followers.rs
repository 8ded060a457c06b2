//! Who follows the journal for the deployment as a whole.

use std::sync::Arc;

use anyhow::Context as _;

use super::Following;
use crate::clock::Clock;
use crate::config::WebhookArgs;
use crate::followers::Follower;
use crate::followers::mirror::{self, Mirror};
use crate::followers::webhooks::secrets::{Secrets, SecretsFile};
use crate::followers::webhooks::{ANSWER_TIME, Sender, Webhooks};
use crate::genesys::client::Client;
use crate::reload;
use crate::replica::Replica;
use crate::signals::HangUp;
use crate::telemetry::Metrics;

/// Has webhooks told of changes, by this process or another.
///
/// # Errors
/// Secrets are named that cannot be used, or there is no TLS to be had.
pub(super) fn tell_webhooks(
    following: &mut Following,
    args: &WebhookArgs,
    replica: &Arc<Replica>,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let secrets = secrets(following, args)?;
    let sender = Sender::new(ANSWER_TIME).context("cannot send webhooks")?;
    let webhooks = Webhooks::new(
        Arc::clone(replica),
        Arc::clone(clock),
        metrics.clone(),
        secrets,
        sender,
        args.webhook_source.clone(),
    );
    let follower = Follower::new(
        Arc::clone(replica),
        Arc::clone(clock),
        metrics.clone(),
        webhooks,
    );
    following.also(|stop| follower.run(stop));
    Ok(())
}

/// Has the rows of a data table kept as the environments are, by this process or another.
pub(super) fn mirror(
    following: &mut Following,
    (client, settings): (Arc<Client>, mirror::Settings),
    replica: &Arc<Replica>,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) {
    let mirror = Mirror::new(
        Arc::clone(replica),
        Arc::clone(clock),
        metrics.clone(),
        client,
        settings,
    );
    let follower = Follower::new(
        Arc::clone(replica),
        Arc::clone(clock),
        metrics.clone(),
        mirror,
    );
    following.also(|stop| follower.run(stop));
}

/// The secrets there are; those in a file are looked at for changes.
fn secrets(following: &mut Following, args: &WebhookArgs) -> anyhow::Result<Arc<Secrets>> {
    if let Some(text) = &args.webhook_secrets {
        let secrets = Secrets::read(text.reveal()).context("TRAFFIC_COP_WEBHOOK_SECRETS")?;
        return Ok(Arc::new(secrets));
    }
    let Some(path) = &args.webhook_secrets_file else {
        return Ok(Arc::default());
    };
    let (file, secrets) = SecretsFile::open(path.clone()).context("the secrets of webhooks")?;
    let hang_up = HangUp::listen()?;
    following.also(|stop| reload::keep(file, hang_up, stop));
    Ok(secrets)
}

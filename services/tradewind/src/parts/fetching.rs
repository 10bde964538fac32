//! Asking a vendor for what a delivery only hinted at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tradewind_actuator::rendered;
use tradewind_connector::{Fetch, FetchAnswer, FetchCall};
use tradewind_domain::Vendor;
use tradewind_egress::{Answer, Client, Connection, Request};
use tradewind_vendors::find;

use crate::parts::directory::Directory;
use crate::secrets::SecretFiles;

/// The connector answers the vendor within three seconds.
const WITHIN: Duration = Duration::from_secs(2);

pub(crate) struct Fetching {
    pub(crate) directory: Directory,
    pub(crate) secrets: SecretFiles,
    pub(crate) client: Client,
    /// Asked in place of the vendor: a sandbox.
    pub(crate) origins: BTreeMap<Vendor, String>,
}

impl Fetching {
    pub(crate) fn into_fetch(self) -> Fetch {
        let fetching = Arc::new(self);
        Arc::new(move |call| {
            let fetching = fetching.clone();
            Box::pin(async move {
                let asking = fetching.clone();
                let request = tokio::task::spawn_blocking(move || asking.request(call))
                    .await
                    .map_err(|error| error.to_string())??;
                match fetching.client.send(request, || true).await {
                    Answer::Received { status, body, .. } => Ok(FetchAnswer { status, body }),
                    answer @ (Answer::Unsent(_) | Answer::Lost(_)) => {
                        Err(format!("expected an answer, got {answer:?}"))
                    }
                }
            })
        })
    }

    /// Blocks: it may have to read the directory.
    fn request(&self, call: FetchCall) -> Result<Request, String> {
        let FetchCall { tenant, connection, vendor, account, request } = call;
        let access = find(&vendor).and_then(|integration| integration.access);
        let access = access.ok_or_else(|| format!("expected a vendor that can be asked, got {vendor}"))?;
        let known = self.directory.secrets(&tenant, &connection)?;
        let secrets = known.iter().filter_map(|name| self.secrets.secret(name));
        let authorization = secrets.filter_map(|secret| (access.authorization)(&secret)).next();
        let authorization = authorization.ok_or_else(|| format!("expected a secret to ask {vendor} with"))?;
        let origin = self.origins.get(&vendor).cloned().or_else(|| (access.origin)(&account));
        let origin = origin.ok_or_else(|| format!("expected an account of {vendor}, got {account}"))?;
        Ok(rendered(request, origin, authorization, Connection::Kept, WITHIN))
    }
}

//! What can be asked, and how it is answered. Everything is a GET and changes
//! nothing on the log.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::json;
use tokio::sync::Semaphore;
use tradewind_domain::Tenant;
use tradewind_explain::{Chain, ExplainError, Explainer, Personal, entity, rfc3339};
use tradewind_ports::LogError;

use crate::access::{Access, Admitted, Refused, Sight};
use crate::hub::Hub;
use crate::metrics::Counted;
use crate::opening;
use crate::owners::OwnersError;
use crate::page;
use crate::server::Kick;
use crate::timeline;
use crate::world::World;

/// Questions that read the log at once; each may read much of it.
const QUESTIONS: usize = 4;

#[derive(Debug)]
pub(crate) struct Api {
    access: Access,
    world: World,
    explainer: Explainer,
    hub: Arc<Hub>,
    counted: Counted,
    questions: Arc<Semaphore>,
}

impl Api {
    pub(crate) fn new(access: Access, world: World, explainer: Explainer, hub: Arc<Hub>, counted: Counted) -> Api {
        Api { access, world, explainer, hub, counted, questions: Arc::new(Semaphore::new(QUESTIONS)) }
    }
}

type Shared = Arc<Api>;

pub(crate) fn router(api: Shared) -> Router {
    Router::new()
        .route("/", get(async || page::html()))
        .route("/console.js", get(page::script))
        .route("/console.css", get(page::style))
        .route("/icon.svg", get(page::icon))
        .route("/api/status", get(status))
        .route("/api/live", get(live))
        .route("/api/commands/{id}", get(command))
        .route("/api/decisions/{id}", get(decision))
        .route("/api/customers/{tenant}/{entity}/timeline", get(customer))
        .layer(middleware::from_fn_with_state(api.clone(), guard))
        .with_state(api)
}

/// Judges every request before anything else, and says on every answer what a
/// browser may do with it.
async fn guard(State(api): State<Shared>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut answer = match api.access.judge(request.uri(), request.headers()) {
        // The key leaves the address bar before anything is shown.
        Ok(Admitted { by_key: true, .. }) if path == "/" => {
            (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static("/")), (SET_COOKIE, api.access.cookie())])
                .into_response()
        }
        Ok(Admitted { sight, .. }) => {
            request.extensions_mut().insert(sight);
            next.run(request).await
        }
        Err(refused) => refuse(refused),
    };
    api.counted.request(route(&path), answer_word(answer.status()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

fn refuse(refused: Refused) -> Response {
    let (status, reason) = match refused {
        Refused::OtherHost => (StatusCode::MISDIRECTED_REQUEST, "this host is not served here"),
        Refused::OtherSite => (StatusCode::FORBIDDEN, "another site may not ask"),
        Refused::NoKey => (StatusCode::UNAUTHORIZED, "expected the access key: open /?key=… once"),
        Refused::WrongKey => (StatusCode::FORBIDDEN, "this is not the access key"),
    };
    failure(status, reason)
}

fn failure(status: StatusCode, reason: impl ToString) -> Response {
    (status, Json(json!({ "error": reason.to_string() }))).into_response()
}

fn route(path: &str) -> &'static str {
    match path {
        "/" => "page",
        "/api/status" => "status",
        "/api/live" => "live",
        _ if path.starts_with("/api/commands/") => "command",
        _ if path.starts_with("/api/decisions/") => "decision",
        _ if path.starts_with("/api/customers/") => "customer",
        _ => "other",
    }
}

fn answer_word(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=399 => "answered",
        401 | 403 | 421 => "refused",
        503 => "unavailable",
        500..=599 => "failed",
        _ => "not_found",
    }
}

async fn status(State(api): State<Shared>, Extension(sight): Extension<Sight>) -> Response {
    let personal = match (sight, api.access.has_key() && api.world.vault.is_some()) {
        (Sight::Opened, true) => "opened",
        (Sight::Sealed, true) => "sealed",
        (Sight::Opened | Sight::Sealed, false) => "never",
    };
    let now = rfc3339(api.world.clock.now());
    Json(json!({ "personal": personal, "now": now, "status": api.hub.status() })).into_response()
}

/// The stream never holds anything opened, whoever follows it.
async fn live(State(api): State<Shared>, Extension(kick): Extension<Kick>) -> Response {
    match api.hub.follow(kick) {
        Ok(live) => ([(CONTENT_TYPE, "text/event-stream")], Body::new(live)).into_response(),
        Err(_) => busy("as many pages as may be are open: close one"),
    }
}

fn busy(reason: &str) -> Response {
    let mut answer = failure(StatusCode::SERVICE_UNAVAILABLE, reason);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    answer
}

async fn command(
    State(api): State<Shared>,
    Extension(sight): Extension<Sight>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Ok(id) = id.parse() else { return failure(StatusCode::BAD_REQUEST, "expected a command's id: a UUID") };
    let explained = ask(&api, move |api| api.explainer.explain(id)).await;
    chain(&api, sight, &headers, explained).await
}

async fn decision(
    State(api): State<Shared>,
    Extension(sight): Extension<Sight>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Ok(id) = id.parse() else { return failure(StatusCode::BAD_REQUEST, "expected a decision's id: a UUID") };
    let explained = ask(&api, move |api| api.explainer.explain_decision(id)).await;
    chain(&api, sight, &headers, explained).await
}

/// As text where that is what is asked for.
async fn chain(
    api: &Shared,
    sight: Sight,
    headers: &HeaderMap,
    explained: Result<Result<Option<Chain>, ExplainError>, Response>,
) -> Response {
    let mut chain = match explained {
        Ok(Ok(Some(chain))) => chain,
        Ok(Ok(None)) => return failure(StatusCode::NOT_FOUND, "no decision on the log has this id"),
        Ok(Err(error)) => return unreadable(&error),
        Err(answer) => return answer,
    };
    if let Some(open) = opener(api, sight) {
        let opened = ask(api, move |_| {
            chain.for_each_personal(open);
            chain
        });
        chain = match opened.await {
            Ok(chain) => chain,
            Err(answer) => return answer,
        };
    }
    if headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain")) {
        return chain.to_string().into_response();
    }
    Json(json!({ "text": chain.to_string(), "chain": chain })).into_response()
}

async fn customer(
    State(api): State<Shared>,
    Extension(sight): Extension<Sight>,
    Path((tenant, key)): Path<(String, String)>,
) -> Response {
    let (Ok(tenant), Some(key)) = (Tenant::new(&tenant), entity::parse(&key)) else {
        return failure(StatusCode::BAD_REQUEST, "expected a merchant and an entity such as email/<hash>");
    };
    let open = opener(&api, sight);
    let asked = ask(&api, move |api| {
        let timeline = api.world.owners.timeline(&tenant, &key)?;
        let mut seen = timeline::read(&api.explainer, timeline)?;
        if let Some(open) = open {
            seen.for_each_personal(open);
        }
        Ok::<_, CustomerError>(seen)
    });
    match asked.await {
        Ok(Ok(seen)) => Json(seen).into_response(),
        Ok(Err(CustomerError::Log(error))) => unreadable(&error),
        Ok(Err(CustomerError::Owner(error @ OwnersError::UnknownTenant))) => {
            failure(StatusCode::NOT_FOUND, format_args!("failed to {error}"))
        }
        Ok(Err(CustomerError::Owner(error @ OwnersError::Unavailable { .. }))) => busy(&format!("failed to {error}")),
        Err(answer) => answer,
    }
}

enum CustomerError {
    Owner(OwnersError),
    Log(ExplainError),
}

impl From<OwnersError> for CustomerError {
    fn from(error: OwnersError) -> CustomerError {
        CustomerError::Owner(error)
    }
}

impl From<ExplainError> for CustomerError {
    fn from(error: ExplainError) -> CustomerError {
        CustomerError::Log(error)
    }
}

/// Opens personal fields, for whoever may see them.
fn opener(api: &Shared, sight: Sight) -> Option<impl FnMut(&mut Personal) + Send + 'static> {
    let vault = match sight {
        Sight::Sealed => return None,
        Sight::Opened => api.world.vault.clone()?,
    };
    Some(move |personal: &mut Personal| opening::open(&*vault, personal))
}

/// Runs a question on a thread that may block; so many at once.
async fn ask<T: Send + 'static>(
    api: &Shared,
    question: impl FnOnce(&Api) -> T + Send + 'static,
) -> Result<T, Response> {
    let place = api.questions.clone().acquire_owned().await.expect("nobody closes the places");
    let asked = api.clone();
    let answer = tokio::task::spawn_blocking(move || {
        // Held to the end, whether somebody still waits for the answer or not.
        let _place = place;
        question(&asked)
    });
    answer.await.map_err(|_| failure(StatusCode::INTERNAL_SERVER_ERROR, "the question could not be worked on"))
}

fn unreadable(error: &ExplainError) -> Response {
    tracing::warn!(%error, "a question could not be answered");
    let reason = format!("failed to {error}");
    match error {
        ExplainError::Log(LogError::Unavailable { .. } | LogError::Indefinite { .. }) => busy(&reason),
        ExplainError::Log(
            LogError::Fenced | LogError::Lost { .. } | LogError::Damaged { .. } | LogError::Refused { .. },
        )
        | ExplainError::Unreadable { .. }
        | ExplainError::Crowded { .. } => failure(StatusCode::INTERNAL_SERVER_ERROR, reason),
    }
}

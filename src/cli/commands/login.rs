//! `hoopctl login`.

use std::sync::Mutex;
use std::sync::PoisonError;

use serde_json::json;

use super::whoami::warn_groupless;
use crate::cli::args::Login;
use crate::cli::context::{Context, set};
use crate::cli::failure::Failure;
use crate::cli::ui::{Ui, Waiting};
use crate::client::api::Api;
use crate::client::keychain::StoredIn;
use crate::client::ledger::LedgerError;
use crate::client::link::LinkError;
use crate::client::login::{Identity, LoginError, LoginView, Person, SignedIn, sign_in};
use crate::client::provider::DevicePrompt;
use crate::client::trust::PinnedRoot;
use crate::domain::name::DeviceId;
use crate::wire::control::{Confirmation, WhoAmI};

/// Signs in.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, args: &Login) -> Result<u8, Failure> {
    let ui = context.ui;
    if context.workload()?.is_some() {
        return workload(context, args).await;
    }
    let place = context.place()?;
    let pinned = context.pin()?.or_else(|| context.remembered_pin(&place));
    let link = context.link(place.url(), pinned)?;
    let view = View { ui, browser: !args.no_browser && can_open_browser(ui), waiting: Mutex::new(None) };
    let first = sign_in(&context.client, &link, args.provider.as_deref(), &view).await;
    view.done();
    let (link, signed) = match first {
        Err(LoginError::Link(LinkError::Untrusted { shown })) if ui.can_ask() => {
            ui.talk(&format!("The certificate of {} is not known to this machine. It leads to", place.url()));
            ui.talk(&format!("  {}", shown.pin));
            if !ui.asks_yes("Does the broker's operator give the same? Type yes to trust it from now on:") {
                return Err(LinkError::Untrusted { shown }.into());
            }
            let pinned = PinnedRoot { pin: shown.pin, root: Some(shown.certificate) };
            let link = context.link(place.url(), Some(pinned))?;
            let signed = sign_in(&context.client, &link, args.provider.as_deref(), &view).await;
            view.done();
            (link, signed?)
        }
        other => (link, other?),
    };
    tell_store(ui, &signed);
    let (person, _) = Person::find(&context.client, &place)?;
    let api = Api::new(context.client.clone(), link, Identity::Person(person));
    if args.new_ledger {
        give_up(ui, &api)?;
    }
    let who = api.whoami().await?;
    look(ui, &api).await?;
    report(ui, &who, place.url());
    Ok(0)
}

/// Puts aside what is remembered of the ledger.
fn give_up(ui: Ui, api: &Api) -> Result<(), Failure> {
    if let Some(at) = api.memory().forget()? {
        ui.talk(&format!("note: what was remembered of the broker's ledger is kept in `{}`", at.display()));
    }
    Ok(())
}

/// Holds the broker's ledger against what is remembered of it. A broker that cannot answer now will be asked before
/// each session.
async fn look(ui: Ui, api: &Api) -> Result<(), Failure> {
    match api.head(None).await {
        Err(LedgerError::Api(error)) => {
            ui.warning(&format!("the head of the broker's ledger could not be seen: {error}"));
            Ok(())
        }
        other => Ok(other.map(drop)?),
    }
}

/// A workload needs no login of its own: this proves that its token is taken.
async fn workload(context: &Context, args: &Login) -> Result<u8, Failure> {
    let api = context.api().await?;
    if args.new_ledger {
        give_up(context.ui, &api)?;
    }
    let who = api.whoami().await?;
    look(context.ui, &api).await?;
    report(context.ui, &who, api.link().url());
    if set("HOOPCTL_WORKLOAD").is_none() {
        context.ui.talk(
            "hint: only the key of this job was kept; set HOOPCTL_WORKLOAD and HOOPCTL_BROKER for the commands to come",
        );
    }
    Ok(0)
}

fn report(ui: Ui, who: &WhoAmI, broker: &url::Url) {
    warn_groupless(ui, who);
    if ui.json {
        ui.object(
            &json!({ "broker": broker, "principal": who.principal.to_string(), "display": who.display }),
        );
    } else {
        ui.line(&format!("logged in at {broker} as {} ({})", who.display, who.principal));
    }
}

fn tell_store(ui: Ui, signed: &SignedIn) {
    if signed.newly_stored && signed.stored == StoredIn::File {
        ui.talk("note: there is no usable keyring here, or a file was asked for: the credential is in a file that only you can read");
    }
    if signed.others > 0 {
        ui.talk(&format!(
            "note: {} other device{} of yours may sign in; `hoopctl device list` shows all",
            signed.others,
            if signed.others == 1 { "" } else { "s" }
        ));
    }
    if !signed.renewable {
        ui.warning("the provider gave no refresh token, so this login ends in a few minutes");
    }
}

struct View {
    ui: Ui,
    browser: bool,
    waiting: Mutex<Option<Waiting>>,
}

impl View {
    fn done(&self) {
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl LoginView for View {
    fn confirm(&self, confirmation: &Confirmation, this: &DeviceId) {
        self.done();
        self.ui.talk(&format!(
            "This sign-in is older than five minutes, so a device that is enrolled must let this one in.\n\
             On it, type\n\n    hoopctl device confirm {}\n\n\
             and check that it shows the key\n\n    {this}",
            confirmation.code
        ));
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(self.ui.wait("waiting for your other device (10 min)"));
    }

    fn prompt(&self, prompt: &DevicePrompt) {
        let page = prompt.url_complete.as_deref().unwrap_or(&prompt.url);
        self.ui.talk(&format!(
            "To sign in, open\n\n    {page}\n\nand check that it shows the code {}.",
            prompt.code
        ));
        if prompt.url_complete.is_some() {
            self.ui.talk(&format!("(Or open {} and type the code.)", prompt.url));
        }
        if self.browser && is_web_page(page) {
            // a browser that does not open is no failure: the page is on the screen
            drop(open::that_detached(page));
        }
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(
            self.ui
                .wait(&format!("waiting for you to sign in ({} min)", prompt.lasts.as_secs().div_ceil(60))),
        );
    }
}

/// What a provider sends is opened only if it is a page, never a file or a program.
fn is_web_page(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
}

/// A browser on a machine that somebody only reaches by SSH, or a text browser, helps nobody.
fn can_open_browser(ui: Ui) -> bool {
    let screen = cfg!(target_os = "macos") || set("DISPLAY").is_some() || set("WAYLAND_DISPLAY").is_some();
    ui.can_ask() && screen && set("SSH_CONNECTION").is_none() && set("CI").is_none()
}

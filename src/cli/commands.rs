//! One file per command.

pub mod audit;
pub mod aws_profile;
pub mod broker;
pub mod complete;
pub mod connect;
pub mod credentials;
pub mod demo;
pub mod device;
pub mod doctor;
pub mod exec;
pub mod explain;
pub mod grant;
pub mod list;
pub mod login;
pub mod logout;
pub mod opening;
pub mod pg_service;
pub mod policy;
pub mod request;
pub mod session;
pub mod ssh_config;
pub mod ssh_proxy;
pub mod whoami;

use std::path::Path;

use super::args;
use super::failure::{Failure, FailureKind};
use super::generate;
use super::ui::Ui;

/// `demo`, from the command line.
///
/// # Errors
/// Whatever the demo could not do.
pub(super) async fn demo_command(mut ui: Ui, args: args::Demo) -> Result<u8, Failure> {
    let then = if args.tour { demo::Then::Tour } else { demo::Then::Stay };
    let options = demo::DemoOptions { data_dir: args.data_dir, port: args.port, then };
    demo::run(options, &mut ui).await?;
    Ok(0)
}

impl demo::Show for Ui {
    fn line(&mut self, text: &str) {
        Self::line(self, text);
    }
}

/// `generate`: writes every generated file below `folder`.
///
/// # Errors
/// When one cannot be written.
pub(super) fn generate_files(folder: &Path) -> Result<u8, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(FailureKind::Configuration, format!("cannot write: {error}"));
    for file in generate::files().map_err(failed)? {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(path, &file.content).map_err(failed)?;
    }
    Ok(0)
}

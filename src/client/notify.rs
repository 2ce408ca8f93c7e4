//! A notification on the desktop.
//!
//! Job: asks the desktop's own `notify-send` to show one line. Boundary: no library that speaks D-Bus
//! for one line; no protected value and no statement may be in it. Failure mode: silence, since the
//! answer is on the terminal as well.

use std::process::Stdio;

use tokio::process::Command;

/// Which screens there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// A Wayland compositor.
    pub wayland: bool,
    /// An X server.
    pub x11: bool,
}

/// Shows one line, if there is a screen.
pub fn notify(screen: Screen, line: &str) {
    if !screen.wayland && !screen.x11 {
        return;
    }
    let mut command = Command::new("notify-send");
    command.args(["--app-name=hoopctl", "--", line]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // it is reaped by the runtime, or outlives us; it may also be missing
    drop(command.spawn());
}

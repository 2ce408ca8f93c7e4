//! `hoopctl session export`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::args::{SessionExport, SessionForm};
use crate::cli::commands::audit::named_key;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::file::{WholeFile, unwritable};
use crate::cli::ui::Ui;
use crate::client::export::asciicast::Cast;
use crate::client::export::csv;
use crate::client::export::har::Har;
use crate::client::export::results::{Begun, Results};
use crate::client::export::transcript::Script;
use crate::client::playback::{Playback, Scene, Shown};
use crate::recording::replay::Speed;
use crate::wire::postgres::transcript::{Line, TranscriptError};

/// Writes a session in a form for other programs.
///
/// # Errors
/// [`Failure`]; a recording that is not what was entered is bad data.
pub(super) async fn run(context: &Context, args: SessionExport) -> Result<u8, Failure> {
    let id = super::id(&args.session)?;
    let key = named_key(args.key.as_ref())?;
    let api = context.api().await?;
    let playback = Playback::open(&api, &id, key.as_ref()).await?;
    let connections = match args.connection {
        None => 1..=playback.connections(),
        Some(number) if (1..=playback.connections()).contains(&number) => number..=number,
        Some(number) => {
            let message = format!("`{id}` has no connection {number}, but {}", playback.connections());
            return Err(Failure::new(FailureKind::Usage, message));
        }
    };
    if args.result.is_some() && args.format != SessionForm::Csv {
        return Err(Failure::new(FailureKind::Usage, "`--result` is for `--format csv`"));
    }
    let mut form = Form::new(&args, &playback);
    let mut out = Outlet::open(context.ui, &args)?;
    form.begin(&playback, &mut out)?;
    for connection in connections {
        form.connection(connection, &mut out)?;
        let mut reel = playback.play(connection, Speed::NORMAL);
        while let Some(scene) = reel.next().await? {
            form.take(scene, &mut out)?;
            if context.ui.is_unheard() {
                return Ok(exit::UNHEARD);
            }
        }
        form.pause(&mut out)?;
    }
    // a file whose end should be proven, and is not, is not put in its place
    let words = playback.last_words()?;
    form.end(&mut out)?;
    out.done()?;
    if let Some(words) = words {
        context.ui.talk(&words);
    }
    Ok(if context.ui.is_unheard() { exit::UNHEARD } else { 0 })
}

/// What is being written.
enum Form {
    Asciicast(Cast),
    Csv(Box<Tables>),
    Har(Har),
    Transcript(Box<Script>),
}

/// The results that are being written.
struct Tables {
    results: Results,
    connection: u32,
    /// The one that is wanted.
    wanted: Option<u64>,
    /// How many columns the one that is being written has.
    columns: Option<usize>,
    written: u64,
}

impl Form {
    fn new(args: &SessionExport, playback: &Playback) -> Self {
        match args.format {
            SessionForm::Asciicast => Self::Asciicast(Cast::new(playback.session())),
            SessionForm::Csv => Self::Csv(Box::new(Tables {
                results: Results::default(),
                connection: 0,
                wanted: args.result,
                columns: None,
                written: 0,
            })),
            SessionForm::Har => Self::Har(Har::new(playback.session())),
            SessionForm::Transcript => Self::Transcript(Box::default()),
        }
    }

    fn begin(&self, playback: &Playback, out: &mut Outlet) -> Result<(), Failure> {
        let mut text = Vec::new();
        if let Self::Transcript(script) = self {
            script.begin(playback.session(), &mut text);
        }
        out.put(&text)
    }

    fn connection(&mut self, number: u32, out: &mut Outlet) -> Result<(), Failure> {
        match self {
            Self::Asciicast(_) => {}
            Self::Csv(tables) => {
                (tables.results, tables.connection, tables.columns) = (Results::default(), number, None);
            }
            Self::Har(har) => har.connection(number),
            Self::Transcript(script) => {
                let mut text = Vec::new();
                script.connection(number, &mut text);
                out.put(&text)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, scene: Scene, out: &mut Outlet) -> Result<(), Failure> {
        let mut text = Vec::new();
        match self {
            Self::Asciicast(cast) => cast.take(&scene, &mut text),
            Self::Csv(tables) => match scene.what {
                Shown::Answer(bytes) | Shown::Cut(bytes) => tables.take(&bytes, out)?,
                _ => {}
            },
            Self::Har(har) => har.take(scene, out.writer()?).map_err(|error| out.failed(&error))?,
            Self::Transcript(script) => script.take(&scene, &mut text).map_err(unreadable)?,
        }
        out.put(&text)
    }

    fn pause(&mut self, out: &mut Outlet) -> Result<(), Failure> {
        match self {
            Self::Asciicast(cast) => {
                let mut text = Vec::new();
                cast.pause(&mut text);
                out.put(&text)
            }
            Self::Har(har) => har.pause(out.writer()?).map_err(|error| out.failed(&error)),
            Self::Csv(_) | Self::Transcript(_) => Ok(()),
        }
    }

    fn end(&self, out: &mut Outlet) -> Result<(), Failure> {
        let nothing = match self {
            Self::Asciicast(cast) => cast.is_empty().then_some("nothing that a terminal showed"),
            Self::Csv(tables) => (tables.written == 0).then_some("no such result of SQL"),
            Self::Har(har) => {
                har.end(out.writer()?).map_err(|error| out.failed(&error))?;
                har.is_empty().then_some("no call of HTTP")
            }
            Self::Transcript(_) => None,
        };
        match nothing {
            None => Ok(()),
            Some(what) => Err(Failure::new(FailureKind::Usage, format!("there is {what} in this recording"))
                .hint("`--format transcript` writes whatever there is")),
        }
    }
}

impl Tables {
    fn take(&mut self, bytes: &[u8], out: &mut Outlet) -> Result<(), Failure> {
        self.results.feed(bytes);
        let mut lines = Vec::new();
        while let Some(told) = self.results.poll().map_err(unreadable)? {
            if let Some(begun) = told.begins {
                // what was written so far is of the one before
                out.put(&std::mem::take(&mut lines))?;
                self.begin(&begun, out, &mut lines)?;
            }
            let Some(columns) = self.columns else { continue };
            match told.line {
                Line::Row(values) => csv::record(&mut lines, values.iter().map(Option::as_deref)),
                Line::CopyData(data) => {
                    let data = data.strip_suffix('\n').unwrap_or(&data);
                    csv::record(&mut lines, [Some(data)]);
                }
                line @ Line::TooLong(_) => {
                    let text = line.text();
                    let rest = std::iter::repeat_n(None, columns.saturating_sub(1));
                    csv::record(&mut lines, [text.as_deref()].into_iter().chain(rest));
                }
                Line::Completed(_) | Line::Error(_) => self.columns = None,
                _ => {}
            }
            if lines.len() >= AT_ONCE {
                out.put(&std::mem::take(&mut lines))?;
            }
        }
        out.put(&lines)
    }

    fn begin(&mut self, begun: &Begun, out: &mut Outlet, lines: &mut Vec<u8>) -> Result<(), Failure> {
        self.columns = None;
        if self.wanted.is_some_and(|wanted| wanted != begun.number) {
            return Ok(());
        }
        out.result(self.connection, begun.number, self.written)?;
        self.columns = Some(begun.columns.len());
        self.written += 1;
        csv::record(lines, begun.columns.iter().map(|name| Some(name.as_str())));
        Ok(())
    }
}

/// Where it is written to.
struct Outlet {
    ui: Ui,
    place: Place,
}

enum Place {
    File(WholeFile),
    /// A folder for results, of which the last is being written.
    Folder {
        path: PathBuf,
        results: Vec<WholeFile>,
    },
    Output(Stdout),
}

/// Standard output, whose end is not a fault.
struct Stdout(Ui);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.raw(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Outlet {
    fn open(ui: Ui, args: &SessionExport) -> Result<Self, Failure> {
        let place = match &args.out {
            None => Place::Output(Stdout(ui)),
            Some(path) if args.format == SessionForm::Csv && is_folder(path) => {
                std::fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
                Place::Folder { path: path.clone(), results: Vec::new() }
            }
            Some(path) => Place::File(WholeFile::create(path)?),
        };
        Ok(Self { ui, place })
    }

    /// A result begins, after so many others.
    fn result(&mut self, connection: u32, number: u64, before: u64) -> Result<(), Failure> {
        match &mut self.place {
            Place::Folder { path, results } => {
                if let Some(last) = results.last_mut() {
                    last.close()?;
                }
                results.push(WholeFile::create(&path.join(format!("{connection}-{number}.csv")))?);
                Ok(())
            }
            _ if before == 0 => Ok(()),
            _ => Err(Failure::new(
                FailureKind::Usage,
                "there is more than one result, and a table holds one",
            )
            .hint("name a folder with `--out FOLDER/`, or one of them with `--connection` and `--result`")
            .hint("`--format transcript` shows their numbers")),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = self.writer()?.write_all(bytes);
        written.map_err(|error| self.failed(&error))
    }

    fn writer(&mut self) -> Result<&mut dyn Write, Failure> {
        self.place.writer().ok_or_else(|| Failure::new(FailureKind::Internal, "no result has begun"))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        unwritable(self.place.path(), error)
    }

    fn done(self) -> Result<(), Failure> {
        let Self { ui, place } = self;
        let said = match &place {
            Place::Output(_) => None,
            Place::File(_) | Place::Folder { .. } => Some(format!("wrote {}", place.path().display())),
        };
        place.done()?;
        if let Some(said) = said {
            ui.talk(&said);
        }
        Ok(())
    }
}

impl Place {
    fn writer(&mut self) -> Option<&mut dyn Write> {
        match self {
            Self::File(file) => Some(file),
            Self::Folder { results, .. } => results.last_mut().map(|file| file as &mut dyn Write),
            Self::Output(stdout) => Some(stdout),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::File(file) => file.path(),
            Self::Folder { path, .. } => path,
            Self::Output(_) => Path::new("standard output"),
        }
    }

    /// Nothing that is not whole has the name that was asked for: of a folder, no result has while one may fail.
    fn done(self) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.done(),
            Self::Folder { mut results, .. } => {
                results.last_mut().map_or(Ok(()), WholeFile::close)?;
                results.into_iter().try_for_each(WholeFile::done)
            }
            Self::Output(_) => Ok(()),
        }
    }
}

/// Whether results get files of their own in it.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/')
}

fn unreadable(error: TranscriptError) -> Failure {
    Failure::new(FailureKind::BadData, error.to_string())
}

const AT_ONCE: usize = 1 << 16;

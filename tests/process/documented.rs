//! What the documentation tells people to type is typed here: every command of a page in its order, by somebody who has a deployment
//! to try it on. What cannot be carried out here is in one table with the reason, and is looked at all the same.

mod page;
mod world;

use std::path::Path;
use std::process::Command;
use std::thread;

use clap::error::ErrorKind;
use serde_json::Value;
use traffic_cop::cli;

use page::{Block, Documented, Page, pages, words};
use world::World;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What becomes of a command that does not simply succeed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instead {
    /// It ends with this exit code.
    Ends(i32),
    /// It is not carried out. Its syntax is checked, and that what it names is there.
    Elsewhere,
}

use Instead::{Elsewhere, Ends};

/// Each of these: its page, how it begins, what becomes of it, and why.
const EXCEPTIONS: [(&str, &str, Instead, &str); 17] = [
    (
        "README.md",
        "cargo run -- serve",
        Elsewhere,
        "quick_start.rs carries it out",
    ),
    (
        "README.md",
        "cargo test --workspace",
        Elsewhere,
        ".ci/run carries it out, and with it this test",
    ),
    (
        "README.md",
        "traffic-cop demo",
        Elsewhere,
        "it goes on until it is ended; demo.rs looks on",
    ),
    (
        "README.md",
        "traffic-cop watch",
        Elsewhere,
        "the same; watch.rs",
    ),
    (
        "docs/genesys.md",
        "archy publish",
        Elsewhere,
        "wants an organisation of Genesys Cloud",
    ),
    (
        "docs/operations.md",
        "traffic-cop env repair",
        Ends(3),
        "nothing is damaged here; repair.rs repairs what is",
    ),
    (
        "docs/operations.md",
        "traffic-cop token repair",
        Ends(3),
        "the same",
    ),
    (
        "docs/operations.md",
        "traffic-cop settings repair",
        Ends(3),
        "the same",
    ),
    (
        "infra/README.md",
        "podman build",
        Elsewhere,
        "there may be no podman; .ci/infra checks the file",
    ),
    ("infra/README.md", "podman run", Elsewhere, "the same"),
    (
        "infra/README.md",
        "install -m 755",
        Elsewhere,
        "would change this machine",
    ),
    (
        "infra/README.md",
        "install -m 644",
        Elsewhere,
        "would change this machine",
    ),
    (
        "infra/aws/README.md",
        "aws cloudformation deploy",
        Elsewhere,
        "wants an account; .ci/infra deploys into an imitation",
    ),
    (
        "infra/aws/README.md",
        "aws secretsmanager",
        Elsewhere,
        "wants an account",
    ),
    (
        "infra/genesys/README.md",
        "terraform -chdir=infra/genesys init",
        Elsewhere,
        ".ci/genesys-terraform, where the provider can be had",
    ),
    (
        "infra/genesys/README.md",
        "terraform -chdir=infra/genesys apply",
        Elsewhere,
        "wants an organisation of Genesys Cloud",
    ),
    (
        "infra/genesys/README.md",
        "terraform -chdir=infra/genesys output",
        Elsewhere,
        "the same",
    ),
];

/// With what a command begins that may be carried out: nothing that changes this machine.
const CARRIED_OUT: [&str; 6] = ["traffic-cop", "curl", "alias", "export", "cat", "echo"];
/// Languages of blocks that only show something.
const SHOWN: [&str; 2] = ["json", "text"];

/// The place of `command` in the table.
fn exception(page: &Page, command: &Documented) -> Option<usize> {
    EXCEPTIONS
        .iter()
        .position(|(of, begins, ..)| *of == page.name && command.text.starts_with(begins))
}

fn becomes_of(page: &Page, command: &Documented) -> Instead {
    exception(page, command).map_or(Ends(0), |at| EXCEPTIONS[at].2)
}

/// Somebody who goes through a page, with a deployment from where one is needed.
struct Reader<'a> {
    page: &'a Page,
    world: Option<World>,
}

impl Reader<'_> {
    async fn world(&mut self) -> &mut World {
        if self.world.is_none() {
            self.world = Some(World::of(&self.page.name).await);
        }
        self.world.as_mut().expect("a world that was made")
    }

    /// Does what `block` says.
    async fn follow(&mut self, block: &Block) {
        let place = format!("{}:{}", self.page.name, block.line);
        match block.language.as_str() {
            "sh" | "console" => self.carry_out(block, &place).await,
            "http" => {
                let (head, body) = block.text.split_once('\n').expect("a line and a body");
                let request = format!("request {head} '{}'", body.trim_end());
                self.world().await.shell(&place, &request).await;
            }
            "yaml" => self.use_file(block, &place).await,
            language => assert!(
                SHOWN.contains(&language),
                "{place}: what is to be done with a block of {language:?}?"
            ),
        }
    }

    async fn carry_out(&mut self, block: &Block, place: &str) {
        let mut script = String::new();
        for command in block.commands() {
            let text = &command.text;
            let said = match becomes_of(self.page, &command) {
                Elsewhere => {
                    self.look_at(text, place);
                    continue;
                }
                Ends(0) => {
                    let first = words(text).swap_remove(0);
                    assert!(
                        CARRIED_OUT.contains(&first.as_str()),
                        "{place}: {text}\nneither is it known how to carry this out, nor is it an exception"
                    );
                    text.clone()
                }
                Ends(code) => format!("code=0\n{{\n{text}\n}} || code=$?\n[ $code = {code} ]"),
            };
            if let Some(expected) = command.output {
                let printed = self.world().await.shell(place, &said).await;
                let head = |output: &str| output.lines().take(2).collect::<Vec<_>>().join("\n");
                // The figures are those of one rollout.
                let expected = head(&expected).replace("1000 rollouts", "1 rollouts");
                assert_eq!(head(&printed), expected, "{place}: {text}");
            } else {
                script += &said;
                script.push('\n');
            }
        }
        if !script.is_empty() {
            self.world().await.shell(place, &script).await;
        }
    }

    /// Keeps a file under the name in its first line, and does what a job in it does.
    async fn use_file(&mut self, block: &Block, place: &str) {
        let file: Value =
            serde_saphyr::from_str(&block.text).unwrap_or_else(|error| panic!("{place}: {error}"));
        let first = block
            .text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# "));
        if let Some(name) = first {
            self.world().await.keep(name, &block.text);
        }
        for job in file["jobs"]
            .as_object()
            .into_iter()
            .flat_map(|jobs| jobs.values())
        {
            let world = self.world().await;
            world.trust_an_issuer().await;
            for step in job["steps"].as_array().expect("steps") {
                let script = step["run"].as_str().expect("a script");
                world.shell(place, script).await;
            }
        }
    }

    /// Looks at a command that is not carried out as far as that goes: its syntax, the commands of this program in it, and the files
    /// that it names, of the repository or of a kit that the page has had written.
    fn look_at(&self, command: &str, place: &str) {
        let syntax = Command::new("bash")
            .args(["-n", "-c", command])
            .output()
            .expect("bash");
        let errors = String::from_utf8_lossy(&syntax.stderr);
        assert!(syntax.status.success(), "{place}: {command}\n{errors}");
        let ours = command.replace("cargo run -- ", "$(traffic-cop ");
        for ours in ours.split("$(traffic-cop ").skip(1) {
            let ours = ours.split([')', '\n']).next().unwrap_or_default();
            let mut line = vec!["traffic-cop".to_owned()];
            line.extend(words(ours));
            if let Err(error) = cli::understand(&line) {
                panic!("{place}: {command}\n{error}");
            }
        }
        for word in words(command) {
            let file = word.rsplit('=').next().unwrap_or_default();
            let home = match file.split_once('/') {
                Some(("infra", _)) => Path::new(ROOT),
                Some(("kit", _)) => self.world.as_ref().expect("a kit").home(),
                _ => continue,
            };
            assert!(
                home.join(file).exists(),
                "{place}: {command}\nthere is no {file}"
            );
        }
    }
}

#[test]
fn every_command_of_the_documentation_does_what_it_is_there_for() {
    let pages = pages();
    thread::scope(|readers| {
        for page in &pages {
            readers.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.expect("a runtime").block_on(async {
                    let mut reader = Reader { page, world: None };
                    for block in &page.blocks() {
                        reader.follow(block).await;
                    }
                    if let Some(world) = reader.world {
                        world.end().await;
                    }
                });
            });
        }
    });
}

#[test]
fn every_exception_is_still_there() {
    let pages = pages();
    let mut met = [false; EXCEPTIONS.len()];
    let mut carried_out = 0;
    for page in &pages {
        for command in page.blocks().iter().flat_map(Block::commands) {
            match exception(page, &command) {
                Some(at) => met[at] = true,
                None => carried_out += usize::from(command.text.starts_with("traffic-cop ")),
            }
        }
    }
    let missing: Vec<_> = EXCEPTIONS.iter().zip(met).filter(|(_, met)| !met).collect();
    assert!(
        missing.is_empty(),
        "no page has these any more: {missing:?}"
    );
    assert!(
        carried_out > 50,
        "only {carried_out} commands are carried out"
    );
}

/// What running text calls a command may be a part of one, but has no word that the program does not know.
#[test]
fn every_command_that_is_mentioned_is_understood() {
    let mut mentioned = 0;
    for page in pages() {
        for command in page.mentions() {
            let mut line = words(&command);
            // What may be left out.
            line.retain(|word| !word.starts_with('['));
            mentioned += 1;
            let Err(error) = cli::understand(&line) else {
                continue;
            };
            let is_part = match error.kind() {
                ErrorKind::MissingRequiredArgument
                | ErrorKind::MissingSubcommand
                | ErrorKind::DisplayHelp
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => true,
                // A word in capitals stands for many.
                ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
                    let stands_for_many =
                        |word: &String| word.bytes().all(|c| c.is_ascii_uppercase());
                    line.iter().any(stands_for_many)
                }
                _ => false,
            };
            assert!(is_part, "{}: {command}\n{error}", page.name);
        }
    }
    assert!(mentioned > 30, "only {mentioned} are there");
}

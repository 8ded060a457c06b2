//! Pages of the documentation: their fenced blocks, and the commands in them.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Where pages are, besides the root.
const FOLDERS: [&str; 3] = ["docs", "infra", "loadtests"];

/// A page of the repository.
#[derive(Debug)]
pub(super) struct Page {
    /// Its path in the repository.
    pub(super) name: String,
    text: String,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// What stands behind its opening fence.
    pub(super) language: String,
    /// The number of its first line.
    pub(super) line: usize,
    pub(super) text: String,
}

/// A command of a block, as it stands: with its comment, and over as many lines.
#[derive(Debug)]
pub(super) struct Documented {
    pub(super) text: String,
    /// What it prints, where a page shows that.
    pub(super) output: Option<String>,
}

/// Every page, those for newcomers first.
pub(super) fn pages() -> Vec<Page> {
    let root = Path::new(ROOT);
    let mut paths = markdown(root, false);
    for folder in FOLDERS {
        paths.extend(markdown(&root.join(folder), true));
    }
    let pages = paths.into_iter().map(|path| {
        let name = path.strip_prefix(root).expect("a page of the repository");
        Page {
            name: name.to_str().expect("a readable name").to_owned(),
            text: fs::read_to_string(&path).expect("a page"),
        }
    });
    pages.collect()
}

fn markdown(folder: &Path, with_folders: bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let found = paths.into_iter().flat_map(|path| {
        if path.is_dir() {
            if with_folders {
                markdown(&path, true)
            } else {
                Vec::new()
            }
        } else if path.extension().is_some_and(|end| end == "md") {
            vec![path]
        } else {
            Vec::new()
        }
    });
    found.collect()
}

impl Page {
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(language)) => {
                    open = Some(Block {
                        language: language.to_owned(),
                        line: number + 2,
                        text: String::new(),
                    });
                }
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some(block), _) => {
                    block.text += line;
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.name);
        blocks
    }

    /// The commands of this program in running text: between backquotes.
    pub(super) fn mentions(&self) -> Vec<String> {
        let prose = self
            .blocks()
            .into_iter()
            .fold(self.text.clone(), |text, block| {
                text.replace(&block.text, "")
            });
        let mut mentions = Vec::new();
        for paragraph in prose.split("\n\n") {
            let quoted = paragraph.split('`').skip(1).step_by(2);
            let commands = quoted.filter(|quoted| quoted.starts_with("traffic-cop "));
            mentions.extend(commands.map(|command| command.replace('\n', " ")));
        }
        mentions
    }
}

impl Block {
    /// Its commands, if it is one of commands.
    pub(super) fn commands(&self) -> Vec<Documented> {
        match self.language.as_str() {
            "sh" => commands(&self.text),
            "console" => sessions(&self.text),
            _ => Vec::new(),
        }
    }
}

/// The commands of a script, each with the lines that belong to it: those after a backslash, and those of a document that ends with
/// a line of its own.
fn commands(script: &str) -> Vec<Documented> {
    let mut commands = Vec::new();
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let mut text = line.to_owned();
        let mut last = line;
        while last.ends_with('\\') {
            last = lines.next().expect("a line after a backslash");
            text = text + "\n" + last;
        }
        if let Some((_, end)) = line.split_once("<<'") {
            let end = end
                .strip_suffix('\'')
                .expect("the end of a document, in quotes");
            for line in lines.by_ref() {
                text = text + "\n" + line;
                if line == end {
                    break;
                }
            }
        }
        commands.push(Documented { text, output: None });
    }
    commands
}

/// The commands of a session at a terminal, each with what it prints.
fn sessions(session: &str) -> Vec<Documented> {
    let session = format!("\n{session}");
    let commands = session.split("\n$ ").skip(1).map(|command| {
        let (text, output) = command.split_once('\n').unwrap_or((command, ""));
        Documented {
            text: text.to_owned(),
            output: Some(output.trim_end().to_owned()),
        }
    });
    commands.collect()
}

/// The words of a simple command, as a shell has them: quotes keep words together, a comment ends the line. What a page leaves out is
/// left out.
pub(super) fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.replace("\\\n", " ").chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words.retain(|word| word != "…");
    words
}

#[test]
fn words_are_those_of_a_shell() {
    assert_eq!(
        words("a \"b c\" '' d=e \\\n  f …  # g"),
        ["a", "b c", "", "d=e", "f"]
    );
}

#[test]
fn commands_are_as_long_as_they_are() {
    let script = "a 1 \\\n  2 \\\n  3\n\ncat > x <<'END'\nb\n\nc\nEND\nd  # e\n";
    let texts: Vec<_> = commands(script)
        .into_iter()
        .map(|command| command.text)
        .collect();
    assert_eq!(
        texts,
        [
            "a 1 \\\n  2 \\\n  3",
            "cat > x <<'END'\nb\n\nc\nEND",
            "d  # e"
        ]
    );
    let sessions = sessions("$ a\n1\n\n2\n$ b\n");
    let parts: Vec<_> = sessions
        .iter()
        .map(|command| (command.text.as_str(), command.output.as_deref()))
        .collect();
    assert_eq!(parts, [("a", Some("1\n\n2")), ("b", Some(""))]);
}

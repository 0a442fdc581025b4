//! Reading a Rust file as far as the house rules need: where `unsafe` is, and how long functions are.
//!
//! By tokens, not by syntax, so that the bodies of macros count too; and not by text, so that comments and
//! strings do not.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};

/// What the rules need to know of a file.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Lines with the keyword.
    pub(crate) unsafe_lines: BTreeSet<usize>,
    /// Functions with a body.
    pub(crate) functions: Vec<Function>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// Where it begins.
    pub(crate) line: usize,
    /// Lines that hold code, from its signature to its end.
    pub(crate) lines: usize,
}

/// Reads the text of a file.
pub(crate) fn read(text: &str) -> Result<File> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow!("{error}"))?;
    let mut file = File::default();
    walk(tokens, &mut file);
    Ok(file)
}

fn walk(tokens: TokenStream, file: &mut File) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(word) if word == "unsafe" => {
                file.unsafe_lines.insert(word.span().start().line);
            }
            TokenTree::Ident(word) if word == "fn" => file.functions.extend(function(&tokens[index..])),
            TokenTree::Group(group) => walk(group.stream(), file),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// The function that begins with these tokens; none for a type such as `fn(u32)` or a signature alone.
fn function(tokens: &[TokenTree]) -> Option<Function> {
    let [first, TokenTree::Ident(name), ..] = tokens else { return None };
    let end = tokens.iter().position(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    })?;
    let TokenTree::Group(_) = &tokens[end] else { return None };
    let mut lines = BTreeSet::new();
    tokens[..=end].iter().for_each(|token| code_lines(token, &mut lines));
    Some(Function { name: name.to_string(), line: first.span().start().line, lines: lines.len() })
}

/// Adds the lines that a token and those within it stand on.
fn code_lines(token: &TokenTree, lines: &mut BTreeSet<usize>) {
    let mut add = |span: Span| lines.extend(span.start().line..=span.end().line);
    match token {
        TokenTree::Group(group) => {
            add(group.span_open());
            add(group.span_close());
            group.stream().into_iter().for_each(|token| code_lines(&token, lines));
        }
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => add(token.span()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_are_no_code() {
        let file = read("fn f() {\n    // why\n\n    g();\n}\n").expect("it is Rust");
        assert_eq!(file.functions, [Function { name: "f".to_owned(), line: 1, lines: 3 }]);
    }

    #[test]
    fn unsafe_counts_in_macros_but_not_in_text() {
        let text = "//! unsafe\nmacro_rules! m { () => {\n unsafe { x() } } }\nconst S: &str = \"unsafe\";\n";
        let file = read(text).expect("it is Rust");
        assert_eq!(file.unsafe_lines, BTreeSet::from([3]));
    }

    #[test]
    fn signatures_and_function_types_have_no_length() {
        let file = read("trait T { fn a(&self); }\nstruct S { f: fn(u32) -> u32 }\n").expect("it is Rust");
        assert_eq!(file.functions, []);
    }
}

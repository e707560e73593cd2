//! Takes pure operations that nothing uses out of the text. A lowering asks for more than it needs, such as lanes of vectors that meet again
//! unchanged; reading and translating them would cost more time than dropping them here.

/// The text without operations that are `pure`, by their values' numbers, and whose values are not mentioned below them: definitions stand
/// above all uses, so one walk from the end finds all.
pub(super) fn prune(text: &str, pure: &[bool]) -> String {
    let mut used = vec![false; pure.len()];
    let mut kept = Vec::new();
    for line in text.lines().rev() {
        let unused = defined(line).is_some_and(|id| pure.get(id) == Some(&true) && !used[id]);
        if unused {
            continue;
        }
        for (at, _) in line.match_indices("%v") {
            if let Some(used) = number(&line[at + 2..]).and_then(|(id, _)| used.get_mut(id)) {
                *used = true;
            }
        }
        kept.push(line);
    }
    let mut out = String::with_capacity(text.len());
    for line in kept.into_iter().rev() {
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// `%v12 = …` defines 12, `%v12_r:2 = …` no single value.
fn defined(line: &str) -> Option<usize> {
    let (id, rest) = number(line.strip_prefix("%v")?)?;
    rest.starts_with(" = ").then_some(id)
}

fn number(text: &str) -> Option<(usize, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::prune;

    #[test]
    fn what_only_unused_operations_use_goes_too() {
        let text = "%v1 = a\n%v2 = b %v1\n%v3_r:2 = scf.if %v1 {\n%v4 = c\nscf.yield %v1, %v5\n}\n%v6 = d %v3_r#1\n%v7 = e %v6\nstore %v6\n";
        let pure = [true; 8];
        let kept = "%v1 = a\n%v3_r:2 = scf.if %v1 {\nscf.yield %v1, %v5\n}\n%v6 = d %v3_r#1\nstore %v6\n";
        assert_eq!(prune(text, &pure), kept);
        assert_eq!(prune(text, &[false; 8]), text);
    }
}

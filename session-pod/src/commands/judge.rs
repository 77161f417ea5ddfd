//! Whether a command is carried out now. Pure.

use jiff::{SignedDuration, Timestamp};
use relay::{Command, CommandAction, Outcome, SessionState as S};

/// How long after its deadline a send that may have happened waits for a page that can tell.
const LOOK_UP: SignedDuration = SignedDuration::from_mins(2);

/// What to do with a command now.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Carry it out.
    Run,
    /// Only find out whether it was done.
    LookUp,
    /// Leave it where it is.
    Wait,
    /// It ends like this.
    End(Outcome),
}

/// `begun`: it was begun, and nobody knows how that ended.
pub(super) fn judge(command: &Command, state: S, begun: bool, now: Timestamp) -> Verdict {
    let expired = now >= command.deadline;
    match &command.action {
        CommandAction::SendText { .. } if expired && begun => match state {
            S::Connected | S::Deaf => Verdict::LookUp,
            _ if now < command.deadline.saturating_add(LOOK_UP).unwrap_or(Timestamp::MAX) => Verdict::Wait,
            _ => Verdict::End(Outcome::Unknown),
        },
        // Done by us just now, or by the process before us: what it was asked for is so.
        CommandAction::Logout if begun && state == S::LoggedOut => Verdict::End(Outcome::Done),
        _ if expired => Verdict::End(Outcome::Expired),
        CommandAction::SendText { .. } | CommandAction::ListChats { .. } => when_connected(state),
        CommandAction::RefreshQr => match state {
            S::AwaitingLink | S::QrIdle | S::Conflict | S::LoggedOut | S::Banned | S::Outdated => Verdict::Run,
            S::Syncing | S::Connected | S::Reconnecting | S::Deaf => failed("already_linked"),
            // Whether the link still stands is known in a moment.
            S::Starting | S::Loading | S::Stopping => Verdict::Wait,
        },
        CommandAction::Logout => match state {
            S::Syncing | S::Connected | S::Reconnecting | S::Deaf | S::Conflict => Verdict::Run,
            S::AwaitingLink | S::QrIdle | S::LoggedOut | S::Banned => failed("not_linked"),
            S::Starting | S::Loading | S::Outdated | S::Stopping => Verdict::Wait,
        },
    }
}

fn when_connected(state: S) -> Verdict {
    match state {
        // A page that does not tell what it gets still does what it is told.
        S::Connected | S::Deaf => Verdict::Run,
        S::AwaitingLink | S::QrIdle | S::LoggedOut | S::Banned => failed("not_linked"),
        S::Starting | S::Loading | S::Syncing | S::Reconnecting | S::Conflict | S::Outdated | S::Stopping => {
            Verdict::Wait
        }
    }
}

fn failed(reason: &str) -> Verdict {
    Verdict::End(Outcome::Failed { reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const DEADLINE: Timestamp = Timestamp::UNIX_EPOCH;

    fn send() -> Command {
        let chat: relay::ChatId = "5511999999999@c.us".parse().expect("valid");
        let message = relay::MessageId::outgoing(&chat, [1; 9]);
        command(CommandAction::SendText { message, chat, text: "hello".to_owned() })
    }

    fn command(action: CommandAction) -> Command {
        Command { id: Uuid::nil(), deadline: DEADLINE, action, trace: None }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("valid")
    }

    #[test]
    fn a_send_goes_only_while_connected_and_in_time() {
        assert_eq!(judge(&send(), S::Connected, false, at(-1)), Verdict::Run);
        assert_eq!(judge(&send(), S::Reconnecting, false, at(-1)), Verdict::Wait);
        assert_eq!(judge(&send(), S::LoggedOut, false, at(-1)), failed("not_linked"));
        assert_eq!(judge(&send(), S::Connected, false, at(0)), Verdict::End(Outcome::Expired));
    }

    #[test]
    fn a_send_that_may_have_happened_is_never_called_expired_unseen() {
        assert_eq!(judge(&send(), S::Connected, true, at(1)), Verdict::LookUp);
        assert_eq!(judge(&send(), S::Starting, true, at(1)), Verdict::Wait);
        assert_eq!(judge(&send(), S::Starting, true, at(121)), Verdict::End(Outcome::Unknown));
    }

    #[test]
    fn a_logout_that_took_the_page_away_is_done() {
        let logout = command(CommandAction::Logout);
        assert_eq!(judge(&logout, S::LoggedOut, true, at(5)), Verdict::End(Outcome::Done));
        assert_eq!(judge(&logout, S::LoggedOut, false, at(-1)), failed("not_linked"));
    }

    #[test]
    fn every_command_ends_some_time_in_every_state() {
        let all = [send(), command(CommandAction::RefreshQr), command(CommandAction::Logout)];
        for (command, state, begun) in all
            .iter()
            .flat_map(|c| S::ALL.iter().map(move |s| (c, *s)))
            .flat_map(|(c, s)| [true, false].map(|begun| (c, s, begun)))
        {
            let verdict = judge(command, state, begun, at(3600));
            assert!(matches!(verdict, Verdict::End(_) | Verdict::LookUp), "{command:?} {state:?}: {verdict:?}");
        }
    }
}

// The commands that look after a server, its directory and who may use it.
#include "tools/cli/grammar.h"
#include "tools/cli/usage.h"

namespace tidemill::cli {

void Program::add_status() {
  CLI::App* c = add("status", "Show on one screen how the server is doing; exit code 1 when something needs a hand",
                    "  tidemill status\n"
                    "  watch -n 2 tidemill status",
                    [this] { return status(status_); });
  add_remote(c, status_.remote);
  c->add_flag("--json", status_.json, "For machines");
}

void Program::add_verify() {
  CLI::App* c = add("verify", "Hold logs, text files and views of a data directory against each other",
                    "  tidemill verify --data /var/lib/tidemill\n"
                    "  tidemill verify --data /var/lib/tidemill --url http://127.0.0.1:7077    while it is in use\n"
                    "Alters nothing. Exit codes: 0 nothing is damaged, 1 something is, 2 it could not be looked at,\n"
                    "3 the server was not reached.",
                    [this] { return verify(verify_); });
  c->add_option("--data", verify_.data, "The data directory")->capture_default_str()->type_name("DIR");
  c->add_option("--url", verify_.remote.url, "The server that uses the directory; without it none may")
      ->type_name("URL");
  add_access(c, verify_.remote);
  c->add_option("--scratch", verify_.scratch, "Where views are made anew to compare (else TMPDIR, else /tmp)")
      ->type_name("DIR");
  c->add_flag("--no-views", verify_.no_views, "Leave the views out");
  c->add_option("--heads", verify_.heads,
                "A file with what `tidemill audit head` printed earlier: nothing of before may have changed")
      ->type_name("FILE");
  c->add_flag("--moved-files-ok", verify_.moved_files_ok, "A text file that is not there was taken elsewhere");
  c->add_flag("--json", verify_.json, "For machines: one object a line");
}

void Program::add_backup() {
  CLI::App* c = add("backup", "Copy all logs to a directory, as of one moment; again and again, only what is new",
                    "  tidemill backup --data /var/lib/tidemill --url http://127.0.0.1:7077 /backup/tidemill\n"
                    "  tidemill backup --data /var/lib/tidemill /backup/tidemill        while no server runs\n"
                    "On the same disk sealed segments are linked: that costs no room, and is no copy until the\n"
                    "directory is copied elsewhere. Views and text files are made again from the logs.",
                    [this] { return backup(backup_); });
  c->add_option("to", backup_.to, "Where to: made when missing")->required()->type_name("DIR");
  c->add_option("--data", backup_.data, "The data directory")->capture_default_str()->type_name("DIR");
  c->add_option("--url", backup_.remote.url, "The server that uses the directory; without it none may")
      ->type_name("URL");
  add_access(c, backup_.remote);
  c->add_flag("--copy", backup_.copy, "Never link");
  c->add_flag("--with-instance-key", backup_.with_instance_key,
              "Also what encrypts the secrets of keys of kind aws: the backup is then as secret as they are");

  CLI::App* r = add("restore", "Make a data directory from a backup, after checking all of it",
                    "  tidemill restore /backup/tidemill --data /var/lib/tidemill\n"
                    "  tidemill restore /backup/tidemill --check\n"
                    "Exit codes: 0 done, 1 the backup is damaged (and nothing was made), 2 wrong use.",
                    [this] { return restore(restore_); });
  r->add_option("from", restore_.from, "The backup's directory")->required()->type_name("DIR");
  r->add_option("--data", restore_.data, "The data directory to be: not there, or empty")->type_name("DIR");
  r->add_flag("--check", restore_.check, "Only check the backup");
}

void Program::add_keys() {
  CLI::App* c = app_.add_subcommand("keys", "Make, list, rotate and revoke keys; bind clients' certificates to them");
  c->require_subcommand(1);
  c->footer(
      "Examples:\n"
      "  tidemill keys create operator --admin > operator.key\n"
      "  tidemill keys list\n"
      "`tidemill keys COMMAND --help` says more of each.");
  const auto add_data = [this](CLI::App* sub) {
    add_remote(sub, keys_.remote);
    sub->add_option("--data", keys_.data, "Instead of a server: a data directory that none uses, on this machine")
        ->type_name("DIR");
  };
  CLI::App* create = c->add_subcommand("create", "Make a key; it is printed this once");
  create->add_option("name", keys_.name, "What people call it")->required();
  create->add_option("--scope", keys_.scopes, "What it may do; once or more")->type_name("SCOPE");
  create->add_flag("--admin", keys_.admin, "The same as --scope instance:admin: everything");
  words(create->add_option("--kind", keys_.kind, "api (the default), or aws")->type_name("KIND"), {"api", "aws"});
  create->add_option("--tenant", keys_.tenant, "Whose it is (else that of the key that makes it)")->type_name("NAME");
  create
      ->add_option("--expires", keys_.expires,
                   "When it ends, such as 90d, 2027-01-31 (its midnight in UTC) or 2027-01-31T08:00:00Z (else never)")
      ->type_name("TIME");
  add_data(create);
  create->footer(
      "Examples:\n"
      "  tidemill keys create operator --admin --data /var/lib/tidemill     the first one, while no server runs\n"
      "  tidemill keys create till-3 --scope stream:retail:write --expires 90d\n"
      "  tidemill keys create board --scope view:customers:query --scope view:invoices:query\n"
      "Scopes: stream:NAME:write|read|admin, view:NAME:query|admin, server:read|admin, instance:read|admin; NAME "
      "may\n"
      "end in *. The key is on standard output, all else on standard error.");
  create->callback([this] { chosen_ = [this] { return keys_create(keys_); }; });
  CLI::App* list = c->add_subcommand("list", "Show the keys, without their secrets");
  add_data(list);
  list->footer("Examples:\n  tidemill keys list");
  list->callback([this] { chosen_ = [this] { return keys_list(keys_); }; });
  CLI::App* rotate = c->add_subcommand("rotate", "Give a key a new secret; the old one is taken for a while");
  rotate->add_option("id", keys_.id, "Which key")->required();
  rotate->add_option("--grace", keys_.grace, "How long the old secret is still taken")
      ->capture_default_str()
      ->type_name("TIME");
  add_data(rotate);
  rotate->footer("Examples:\n  tidemill keys rotate 1qxy7r0m3n5p2 --grace 12h");
  rotate->callback([this] { chosen_ = [this] { return keys_rotate(keys_); }; });
  CLI::App* revoke = c->add_subcommand("revoke", "End a key, at once and for good");
  revoke->add_option("id", keys_.id, "Which key")->required();
  add_data(revoke);
  revoke->footer("Examples:\n  tidemill keys revoke 1qxy7r0m3n5p2");
  revoke->callback([this] { chosen_ = [this] { return keys_revoke(keys_); }; });
  CLI::App* bind = c->add_subcommand("bind", "Let a client's certificate stand for a key");
  bind->add_option("id", keys_.id, "Which key")->required();
  bind->add_option("--certificate", keys_.certificate, "The certificate, in PEM; its private key stays where it is")
      ->required()
      ->type_name("FILE");
  add_data(bind);
  bind->footer("Examples:\n  tidemill keys bind 1qxy7r0m3n5p2 --certificate till-3.pem");
  bind->callback([this] { chosen_ = [this] { return keys_bind(keys_); }; });
  CLI::App* unbind = c->add_subcommand("unbind", "Take a certificate from a key, at once");
  unbind->add_option("id", keys_.id, "Which key")->required();
  unbind->add_option("--certificate", keys_.certificate, "The certificate, or its SHA-256 as `keys list` shows it")
      ->required()
      ->type_name("FILE|SHA256");
  add_data(unbind);
  unbind->footer("Examples:\n  tidemill keys unbind 1qxy7r0m3n5p2 --certificate till-3-old.pem");
  unbind->callback([this] { chosen_ = [this] { return keys_unbind(keys_); }; });
}

void Program::add_limits() {
  CLI::App* c = app_.add_subcommand("limits", "Set, show and remove limits of keys and tenants");
  c->require_subcommand(1);
  c->footer(
      "Examples:\n"
      "  tidemill limits set --tenant acme --requests 100/s\n"
      "  tidemill limits show --tenant acme\n"
      "`tidemill limits COMMAND --help` says more of each.");
  const auto add_data = [this](CLI::App* sub) {
    add_remote(sub, limits_.remote);
    sub->add_option("--data", limits_.data, "Instead of a server: a data directory that none uses, on this machine")
        ->type_name("DIR");
  };
  const auto add_owner = [this, add_data](CLI::App* sub) {
    add_data(sub);
    sub->add_option("--key", limits_.key, "Of the key with this id")->type_name("ID");
    sub->add_option("--tenant", limits_.tenant, "Of this tenant: all its keys together")->type_name("NAME");
  };
  CLI::App* set = c->add_subcommand("set", "Limit a key or a tenant, from the next request on");
  add_owner(set);
  const auto add_measure = [&](const std::string& name, LimitsOptions::Of& of, const char* number) {
    set->add_option("--" + name, of.rate, name + " a second, and perhaps how many at once after a pause")
        ->type_name("RATE");
    set->add_option("--day-" + name, of.day, name + " a day, in UTC")->type_name(number);
    set->add_option("--month-" + name, of.month, name + " a month, in UTC")->type_name(number);
  };
  add_measure("requests", limits_.requests, "NUMBER");
  add_measure("records", limits_.records, "NUMBER");
  add_measure("bytes", limits_.bytes, "SIZE");
  set->add_option("--connections", limits_.connections, "Connections open at a time")->type_name("NUMBER");
  set->add_option("--streams", limits_.streams, "Streams that the tenant may have")->type_name("NUMBER");
  set->add_option("--disk", limits_.disk, "What the logs of the tenant's streams may take")->type_name("SIZE");
  set->footer(
      "Examples:\n"
      "  tidemill limits set --key 1qxy7r0m3n5p2 --requests 100/s --records 1000/s:5000 --bytes 1MiB/s\n"
      "  tidemill limits set --tenant acme --month-records 100M --streams 20 --disk 50GiB\n"
      "  tidemill limits set --key 1qxy7r0m3n5p2 --bytes none\n"
      "What is not said stays as it is; `none` takes a limit away. Numbers may end in k, M or G; sizes in kB, MB, GB "
      "(of\n"
      "1000) or KiB, MiB, GiB (of 1024).");
  set->callback([this] { chosen_ = [this] { return limits_set(limits_); }; });
  CLI::App* show = c->add_subcommand("show", "Show limits and what is left of them (else those of the key that asks)");
  add_owner(show);
  show->footer("Examples:\n  tidemill limits show\n  tidemill limits show --tenant acme");
  show->callback([this] { chosen_ = [this] { return limits_show(limits_); }; });
  CLI::App* list = c->add_subcommand("list", "List who has limits");
  add_data(list);
  list->footer("Examples:\n  tidemill limits list\n  tidemill limits list --data /var/lib/tidemill");
  list->callback([this] { chosen_ = [this] { return limits_list(limits_); }; });
  CLI::App* remove = c->add_subcommand("remove", "Take all limits of a key or a tenant away");
  add_owner(remove);
  remove->footer("Examples:\n  tidemill limits remove --key 1qxy7r0m3n5p2");
  remove->callback([this] { chosen_ = [this] { return limits_remove(limits_); }; });
}

void Program::add_audit() {
  CLI::App* c = add("audit", "List who came, who was turned away, and who changed what",
                    "  tidemill audit --from 24h --action auth.denied\n"
                    "  tidemill audit --key 1qxy7r0m3n5p2\n"
                    "  tidemill audit --action 'key.*' --json\n"
                    "  tidemill audit head >> heads.txt           what `verify --heads` takes; keep it elsewhere",
                    [this] { return audit(audit_); });
  add_remote(c, audit_.remote);
  c->add_option("--key", audit_.key, "Only what this key did, or what was done to it")->type_name("ID");
  c->add_option("--from", audit_.from, "Since then: a day or a time in UTC, or how long ago, such as 24h")
      ->type_name("TIME");
  c->add_option("--until", audit_.until, "Before then")->type_name("TIME");
  c->add_option("--action", audit_.action, "Only this action, such as auth.denied; `key.*`: those that begin so")
      ->type_name("ACTION");
  c->add_option("--limit", audit_.limit, "So many events at most, from the oldest on")
      ->check(refuse_number)
      ->type_name("N");
  c->add_flag("--json", audit_.json, "One JSON object a line");
  CLI::App* head = c->add_subcommand("head", "Print how far the hash chains of both logs are");
  add_remote(head, audit_.remote);
  head->footer("Examples:\n  tidemill audit head >> heads.txt");
  head->callback([this] { chosen_ = [this] { return audit_head(audit_); }; });
}

}  // namespace tidemill::cli

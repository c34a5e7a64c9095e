#include "tools/cli/sql/line_editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <fstream>
#include <vector>

#include "tools/cli/output.h"

namespace tidemill::cli {
namespace {

constexpr int kKept = 1'000;                  // entries
constexpr std::size_t kRewriteAbove = 2'000;  // lines of the file

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// What all begin with, whatever the case of letters.
std::string common(const std::vector<std::string>& words) {
  std::string out = words.front();
  for (const auto& word : words) {
    std::size_t n = 0;
    while (n < out.size() && n < word.size() && (out[n] | 0x20) == (word[n] | 0x20)) ++n;
    out.resize(n);
  }
  while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) out.pop_back();
  if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0) out.pop_back();
  return out;
}

void write_all(const std::string& file, int flags, const std::string& text) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
  if (fd < 0) return;  // a history that cannot be kept is no reason to stop
  [[maybe_unused]] const ssize_t written = ::write(fd, text.data(), text.size());
  ::close(fd);
}

}  // namespace

struct LineEditor::Impl {
  std::string file;
  Complete complete;
  std::string prompt;
  std::string last;  // entry
  EditLine* editor = nullptr;
  History* history = nullptr;

  std::atomic<bool>* interrupted = nullptr;
  sigset_t waiting{};  // what is blocked while it waits for a key: not SIGINT

  void load();
  bool byte(char& c);
  int key(wchar_t* out);
  unsigned char tab();
  void list(const std::vector<std::string>& words) const;
};

void LineEditor::Impl::load() {
  if (file.empty()) return;
  std::ifstream in(file, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  const std::size_t skip = lines.size() > kKept ? lines.size() - kKept : 0;
  HistEvent event;
  std::string kept;
  for (std::size_t i = skip; i < lines.size(); ++i) {
    ::history(history, &event, H_ENTER, lines[i].c_str());
    kept += lines[i] + "\n";
  }
  if (lines.size() > kRewriteAbove) write_all(file, O_TRUNC, kept);
}

// False: the end, or Ctrl-C (EINTR). That is let in only while this waits, so none comes between looking and waiting.
bool LineEditor::Impl::byte(char& c) {
  for (;;) {
    if (interrupted->load()) {
      errno = EINTR;
      return false;
    }
    pollfd p{STDIN_FILENO, POLLIN, 0};
    if (::ppoll(&p, 1, nullptr, &waiting) < 0 && errno != EINTR) return false;
    if (p.revents == 0) continue;
    const ssize_t n = ::read(STDIN_FILENO, &c, 1);
    if (n == 1) return true;
    if (n == 0) errno = 0;
    if (n == 0 || (errno != EINTR && errno != EAGAIN)) return false;
  }
}

int LineEditor::Impl::key(wchar_t* out) {
  std::mbstate_t state{};
  for (;;) {
    char c = 0;
    if (!byte(c)) return errno == 0 ? 0 : -1;
    switch (std::mbrtowc(out, &c, 1, &state)) {
      case static_cast<std::size_t>(-2):  // more of it is to come
        break;
      case static_cast<std::size_t>(-1):  // no letter at all
        state = {};
        break;
      default:
        return 1;
    }
  }
}

unsigned char LineEditor::Impl::tab() {
  const LineInfo* info = el_line(editor);
  const std::string_view line(info->buffer, static_cast<std::size_t>(info->cursor - info->buffer));
  const bool at_end = info->cursor == info->lastchar;
  const Completion found = complete(line);
  if (found.candidates.empty()) return CC_REFRESH_BEEP;
  const std::string typed(line.substr(found.begin));
  std::string text = common(found.candidates);
  const bool one = found.candidates.size() == 1;
  if (one) {
    text = found.candidates.front();
    if (at_end && !text.ends_with('(')) text += ' ';
  }
  if (text.size() < typed.size() || text == typed) {
    list(found.candidates);
    return CC_REDISPLAY;
  }
  el_deletestr(editor, static_cast<int>(characters(typed)));
  if (el_insertstr(editor, text.c_str()) != 0) return CC_ERROR;
  return CC_REFRESH;
}

void LineEditor::Impl::list(const std::vector<std::string>& words) const {
  std::size_t widest = 0;
  for (const auto& word : words) widest = std::max(widest, display_width(word));
  const std::size_t width = std::max<std::size_t>(terminal_width(), 20);
  const std::size_t columns = std::max<std::size_t>(1, width / (widest + 2));
  const std::size_t lines = (words.size() + columns - 1) / columns;
  std::string out = "\n";
  for (std::size_t l = 0; l < lines; ++l) {
    for (std::size_t w = l; w < words.size(); w += lines) {
      out += words[w];
      if (w + lines < words.size()) out += std::string(widest + 2 - display_width(words[w]), ' ');
    }
    out += "\n";
  }
  print(out);
  flush();
}

LineEditor::LineEditor(const char* program, std::string history_file, std::atomic<bool>& interrupted, Complete complete)
    : impl_(std::make_unique<Impl>()) {
  impl_->interrupted = &interrupted;
  impl_->file = std::move(history_file);
  impl_->complete = std::move(complete);
  // Without a locale of UTF-8 libedit takes every byte of a letter for a letter.
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
  impl_->history = history_init();
  HistEvent event;
  ::history(impl_->history, &event, H_SETSIZE, kKept);
  ::history(impl_->history, &event, H_SETUNIQUE, 1);
  impl_->load();

  EditLine* editor = impl_->editor = el_init(program, stdin, stdout, stderr);
  if (editor == nullptr) return;
  el_set(editor, EL_CLIENTDATA, impl_.get());
  el_set(
      editor, EL_PROMPT, +[](EditLine* e) {
        Impl* self = nullptr;
        el_get(e, EL_CLIENTDATA, &self);
        return self->prompt.data();
      });
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_SIGNAL, 0);
  el_set(
      editor, EL_GETCFN, +[](EditLine* e, wchar_t* out) {
        Impl* self = nullptr;
        el_get(e, EL_CLIENTDATA, &self);
        return self->key(out);
      });
  el_set(editor, EL_HIST, ::history, impl_->history);
  el_set(
      editor, EL_ADDFN, "tidemill-complete", "Completes the word before the cursor", +[](EditLine* e, int) {
        Impl* self = nullptr;
        el_get(e, EL_CLIENTDATA, &self);
        return self->tab();
      });
  el_set(editor, EL_BIND, "^I", "tidemill-complete", nullptr);
  el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  el_set(editor, EL_BIND, "\\e[3~", "ed-delete-next-char", nullptr);
  el_set(editor, EL_BIND, "\\e[1;5C", "em-next-word", nullptr);
  el_set(editor, EL_BIND, "\\e[1;5D", "ed-prev-word", nullptr);
  el_source(editor, nullptr);
}

LineEditor::~LineEditor() {
  if (impl_->editor) el_end(impl_->editor);
  history_end(impl_->history);
}

LineEditor::Read LineEditor::read(const std::string& prompt, std::string& line) {
  if (impl_->editor == nullptr) return Read::end;
  impl_->prompt = prompt;
  flush();
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &impl_->waiting);
  int count = 0;
  const char* text = el_gets(impl_->editor, &count);
  ::pthread_sigmask(SIG_SETMASK, &impl_->waiting, nullptr);
  if (text == nullptr || count <= 0) return impl_->interrupted->exchange(false) ? Read::interrupted : Read::end;
  line.assign(text, static_cast<std::size_t>(count));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  return Read::line;
}

void LineEditor::remember(const std::string& entry) {
  if (entry.empty() || entry == impl_->last || entry.find('\n') != std::string::npos) return;
  impl_->last = entry;
  HistEvent event;
  ::history(impl_->history, &event, H_ENTER, entry.c_str());
  if (!impl_->file.empty()) write_all(impl_->file, O_APPEND, entry + "\n");
}

}  // namespace tidemill::cli

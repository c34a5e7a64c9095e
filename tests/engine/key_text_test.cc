// Keys, access keys and secrets as text, and the scopes that a key is given.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/keys/key_text.h"
#include "engine/keys/principal.h"
#include "tests/support/sim_random.h"

namespace tidemill {
namespace {

TEST(KeyText, IsFoundByScannersAndKnowsTypingErrors) {
  SimRandom random(7);
  const KeyId id{0x0123456789abcdefull};
  const SecretText text = make_key_text(id, random);
  EXPECT_THAT(std::string(text.view()), ::testing::MatchesRegex("tm_[0-9a-hjkmnp-tv-z]{13}_[0-9a-hjkmnp-tv-z]{36}"));
  EXPECT_EQ(key_id_of(text.view()), id);
  EXPECT_EQ(parse_key_id(to_text(id)), id);
  EXPECT_EQ(parse_key_id(to_text(KeyId{~0ull})), KeyId{~0ull});
  EXPECT_FALSE(parse_key_id("zzzzzzzzzzzzz"));  // more than 64 bits
  EXPECT_FALSE(parse_key_id(""));
  for (std::size_t i = 0; i < text.view().size(); ++i) {
    std::string wrong(text.view());
    wrong[i] = wrong[i] == '7' ? '8' : '7';
    EXPECT_FALSE(key_id_of(wrong)) << i;
  }
  EXPECT_FALSE(key_id_of(text.view().substr(1)));
  EXPECT_FALSE(key_id_of(std::string(text.view()) + "0"));
  EXPECT_FALSE(key_id_of(std::string(53, '\xff')));
  static_assert(!std::equality_comparable<KeyHash> && !std::three_way_comparable<KeyHash>, "same_hash() it is");
  EXPECT_FALSE(same_hash(hash_of_key("a"), hash_of_key("b")));
  EXPECT_TRUE(same_hash(hash_of_key("a"), hash_of_key("a")));
}

TEST(KeyText, IsTakenOutOfWhatSomebodyPutItInto) {
  SimRandom random(3);
  const SecretText key = make_key_text(KeyId{7}, random);
  const std::string text(key.view());
  const std::string shown = "tm_" + to_text(KeyId{7}) + "_***";
  EXPECT_EQ(without_secrets(text), shown);
  EXPECT_EQ(without_secrets("a-" + text + "/" + text), "a-" + shown + "/" + shown);
  EXPECT_EQ(without_secrets(text.substr(0, 30)), shown) << "cut off";
  EXPECT_EQ(without_secrets(text.substr(0, 25) + "!?"), shown + "!?");
  std::string loud = text;
  for (char& c : loud) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(without_secrets("tm_" + loud.substr(3)), "tm_" + loud.substr(3, 13) + "_***");
  for (const std::string& other : {std::string("retail"), std::string("tm_"), std::string("tm_tm_x_y"),
                                   shown.substr(0, 16), std::string("tm_until-2026-01_abc"), std::string(200, '_')})
    EXPECT_EQ(without_secrets(other), other);
}

TEST(KeyText, AnAccessKeyIsOfTwentyCharacters) {
  const KeyId id{0xfedcba9876543210ull};
  const std::string text = access_key_of(id);
  EXPECT_THAT(text, ::testing::MatchesRegex("TMAK[0-9A-HJKMNP-TV-Z]{16}"));
  EXPECT_EQ(parse_access_key(text), id);
  std::string wrong = text;
  wrong[8] = wrong[8] == '7' ? '8' : '7';
  EXPECT_FALSE(parse_access_key(wrong));
  SimRandom random(7);
  EXPECT_EQ(make_aws_secret(random).view().size(), 40u);
}

TEST(Scopes, AreReadAndWrittenAlike) {
  for (const char* good : {"stream:retail:write", "stream:retail:read", "stream:retail:admin", "stream:*:read",
                           "stream:shop-*:write", "view:customers:query", "view:customers:admin", "server:read",
                           "server:admin", "instance:read", "instance:admin"}) {
    const auto scope = parse_scope(good);
    ASSERT_TRUE(scope) << good;
    EXPECT_EQ(scope_text(*scope), good);
  }
  for (const char* bad : {"",
                          "stream",
                          "stream:retail",
                          "stream::read",
                          "stream:retail:query",
                          "stream:retail:see",
                          "stream:re*ail:read",
                          "stream:**:read",
                          "view:customers:read",
                          "view:customers:write",
                          "server:write",
                          "server:see",
                          "server:x:read",
                          "instance:",
                          "stream:a:b:read",
                          "stream:a b:read",
                          "STREAM:a:read",
                          "stream:a:read ",
                          "stream:a,b:read",
                          "stream:a\n:read"})
    EXPECT_FALSE(parse_scope(bad)) << bad;
  EXPECT_FALSE(parse_scope("stream:" + std::string(129, 'a') + ":read"));
}

TEST(Scopes, WhatIsNotGivenIsNotAllowed) {
  const auto may = [](const char* scope, Action action, Thing thing, const char* name = "") {
    Principal who;
    who.everything = false;
    if (*scope) who.scopes = {*parse_scope(scope)};
    return who.may(action, thing, name);
  };
  using enum Action;
  EXPECT_FALSE(may("", see, Thing::stream, "retail"));
  EXPECT_TRUE(may("stream:retail:write", write, Thing::stream, "retail"));
  EXPECT_TRUE(may("stream:retail:write", see, Thing::stream, "retail"));
  EXPECT_FALSE(may("stream:retail:write", read, Thing::stream, "retail"));
  EXPECT_FALSE(may("stream:retail:write", admin, Thing::stream, "retail"));
  EXPECT_FALSE(may("stream:retail:write", write, Thing::stream, "retail2"));
  EXPECT_FALSE(may("stream:retail:write", write, Thing::stream, "Retail"));
  EXPECT_FALSE(may("stream:retail:admin", query, Thing::view, "retail"));
  EXPECT_TRUE(may("stream:retail:admin", read, Thing::stream, "retail"));
  EXPECT_TRUE(may("stream:shop-*:read", read, Thing::stream, "shop-1"));
  EXPECT_TRUE(may("stream:shop-*:read", read, Thing::stream, "shop-"));
  EXPECT_FALSE(may("stream:shop-*:read", read, Thing::stream, "shop"));
  EXPECT_TRUE(may("view:*:query", query, Thing::view, "anything"));
  EXPECT_FALSE(may("view:*:query", admin, Thing::view, "anything"));
  EXPECT_FALSE(may("view:*:query", read, Thing::server));
  EXPECT_TRUE(may("server:read", read, Thing::server));
  EXPECT_TRUE(may("server:read", see, Thing::view, "v"));
  EXPECT_FALSE(may("server:read", query, Thing::view, "v"));
  EXPECT_FALSE(may("server:read", read, Thing::stream, "retail"));
  EXPECT_FALSE(may("server:read", read, Thing::instance));
  EXPECT_TRUE(may("server:admin", admin, Thing::stream, "retail"));
  EXPECT_TRUE(may("server:admin", query, Thing::view, "v"));
  EXPECT_FALSE(may("server:admin", read, Thing::instance));
  EXPECT_TRUE(may("instance:read", read, Thing::instance));
  EXPECT_TRUE(may("instance:read", read, Thing::server));
  EXPECT_FALSE(may("instance:read", see, Thing::stream, "retail"));
  EXPECT_TRUE(may("instance:admin", admin, Thing::instance));
  EXPECT_TRUE(may("instance:admin", write, Thing::stream, "retail"));
}

TEST(Scopes, NobodyGivesWhatIsNotTheirs) {
  Principal who;
  who.everything = false;
  who.tenant = "acme";
  who.scopes = {*parse_scope("server:admin")};
  EXPECT_TRUE(who.may_give(*parse_scope("stream:x:write"), "acme"));
  EXPECT_TRUE(who.may_give(*parse_scope("server:admin"), "acme"));
  EXPECT_FALSE(who.may_give(*parse_scope("stream:x:write"), "other"));
  EXPECT_FALSE(who.may_give(*parse_scope("instance:read"), "acme"));
  EXPECT_FALSE(who.may_give(*parse_scope("instance:admin"), "acme"));
  who.scopes = {*parse_scope("stream:*:admin")};
  EXPECT_FALSE(who.may_give(*parse_scope("stream:x:write"), "acme"));
  who.scopes = {*parse_scope("instance:admin")};
  EXPECT_TRUE(who.may_give(*parse_scope("instance:admin"), "other"));
}

}  // namespace
}  // namespace tidemill

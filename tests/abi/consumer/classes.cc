// SPDX-License-Identifier: Apache-2.0
// A stranger's plugin in C++17 by way of spoe/plugin.hpp: it throws, answers late and forgets to.
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include <spoe/plugin.hpp>

namespace
{

enum { ASK, THROW, LATER, FORGET };
enum { WORD, NUMBER };
enum { GREETING, FAIL };

class classes
{
  public:
    classes(spoe::host h, spoe::config cfg) : host_(h), greeting_(cfg.text(GREETING))
    {
        if (cfg.choice(FAIL) == 1) {
            cfg.report(FAIL, "it is to fail");
            throw spoe::error(SPOE_E_CONFIG, "as it was told to");
        }
        if (cfg.choice(FAIL) == 2)
            throw 7; // no std::exception
    }

    class worker
    {
      public:
        worker(classes &all, spoe_worker *, uint32_t index) : all_(all), index_(index)
        {
        }
        spoe_status handle(spoe::request &req, spoe::message msg)
        {
            switch (msg.index()) {
            case ASK:
                (void)req.set(SPOE_SCOPE_TXN, "worker", index_);
                (void)req.set(SPOE_SCOPE_TXN, "even", msg.integer(NUMBER).value_or(1) % 2 == 0);
                return req.set(SPOE_SCOPE_TXN, "said",
                               all_.greeting_ + " " + std::string(msg.text(WORD)));
            case THROW:
                (void)req.set(SPOE_SCOPE_TXN, "thrown", true); // is dropped
                if (msg.text(WORD) == "memory")
                    throw std::bad_alloc();
                throw std::runtime_error("thrown: " + std::string(msg.text(WORD)));
            case LATER:
                all_.later(req.defer(), std::string(msg.text(WORD)));
                return SPOE_OK;
            default: {
                spoe::pending lost = req.defer(); // completed on the way out
                throw std::runtime_error("forgotten");
            }
            }
        }

      private:
        classes &all_;
        uint32_t index_;
    };

    void start()
    {
        thread_ = std::thread([this] { run(); });
    }
    void stop(int64_t)
    {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ended_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

  private:
    void later(spoe::pending req, std::string word)
    {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            queue_.emplace_back(std::move(req), std::move(word));
        }
        changed_.notify_one();
    }
    void run()
    {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return ended_ || !queue_.empty(); });
            if (queue_.empty())
                return;
            auto [req, word] = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            (void)req.set(SPOE_SCOPE_TXN, "later", word);
            req.complete();
            lock.lock();
        }
    }

    spoe::host host_;
    std::string greeting_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::pair<spoe::pending, std::string>> queue_;
    bool ended_ = false;
    std::thread thread_;
};

constexpr const char *event = "on-frontend-http-request";
constexpr spoe::table args{
    spoe::argument(NUMBER, "number", SPOE_ACCEPT_INT, "dst_port"),
    spoe::argument(WORD, "word", SPOE_ACCEPT_STR, "path,bytes(0,64)", 0, "any word")};
constexpr spoe::table messages{spoe::message_of(LATER, "classes-later", event, args),
                               spoe::message_of(ASK, "classes-ask", event, args, "asks"),
                               spoe::message_of(THROW, "classes-throw", event, args),
                               spoe::message_of(FORGET, "classes-forget", event, args)};
constexpr spoe::table variables{
    spoe::variable(0, "worker", SPOE_SCOPE_TXN, SPOE_ACCEPT_INT),
    spoe::variable(1, "even", SPOE_SCOPE_TXN, SPOE_ACCEPT_BOOL),
    spoe::variable(2, "said", SPOE_SCOPE_TXN, SPOE_ACCEPT_STR, "a greeting"),
    spoe::variable(3, "later", SPOE_SCOPE_TXN, SPOE_ACCEPT_STR)};

const char *const choices[] = {"no", "config", "seven", nullptr};
constexpr auto fail_option()
{
    auto option = spoe::option(FAIL, "fail", SPOE_OPT_ENUM, "no", "how to fail");
    option.decl.choices = choices;
    return option;
}
constexpr spoe::table options{spoe::option(GREETING, "greeting", SPOE_OPT_STRING, "hello"),
                              fail_option()};
constexpr spoe_plugin plugin = spoe::plugin<classes>::describe(
    "classes", "1.0", "a plugin of classes", messages, options, variables);

} // namespace

const spoe_plugin *spoe_plugin_entry_v1()
{
    return &plugin;
}

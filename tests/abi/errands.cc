// SPDX-License-Identifier: Apache-2.0
// A test plugin in C++17: each request waits on its worker while a thread of the plugin's runs an
// errand for it, and posts back what it found. A request that nobody waits for any more is taken
// off. Lines of HAProxy's log are counted. The same in Rust: errands.rs.
//
// Words of a request: "lost", what is posted throws; "keep", the thread keeps it until stop().
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <spoe/plugin.hpp>

namespace
{

constexpr std::size_t waiting_max = 1000; // what is held has a bound
enum { ERRAND, LINE };
enum { WORD };
enum { TEXT };

class errands
{
  public:
    errands(spoe::host h, spoe::config) : host_(h)
    {
    }
    void start()
    {
        thread_ = std::thread([this] { run(); });
    }
    void quiesce()
    {
        host_.log(SPOE_LOG_NOTICE, "errands is quiet after " + std::to_string(lines_) + " lines");
    }
    void stop(std::int64_t)
    {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ended_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

    class worker
    {
      public:
        worker(errands &all, spoe::loop &on, std::uint32_t index)
            : all_(all), mailbox_(on.mailbox()), index_(index)
        {
        }
        spoe_status handle(spoe::request &req, spoe::message msg)
        {
            if (msg.index() == LINE) {
                const spoe_status status = req.set(SPOE_SCOPE_TXN, "said", "nobody hears");
                all_.lines_++;
                all_.host_.log(SPOE_LOG_NOTICE, "line " + std::string(msg.text(TEXT)) + " set " +
                                                    std::to_string(status));
                return SPOE_OK;
            }
            if (waiting_.size() == waiting_max)
                return SPOE_E_LIMIT;
            const std::uint64_t number = ++number_;
            waiting &mine = waiting_.emplace(number, waiting{number, req.defer()}).first->second;
            (void)mine.req.set_data(&mine);
            all_.send({mailbox_, *this, number, std::string(msg.text(WORD))});
            return SPOE_OK;
        }
        void cancel(spoe_request *req, std::int32_t why)
        {
            auto *const gone = static_cast<waiting *>(all_.host_.data(req));
            if (gone == nullptr)
                return; // it is completed
            all_.host_.log(SPOE_LOG_NOTICE, "cancelled " + std::to_string(why));
            gone->req.complete();
            waiting_.erase(gone->number);
        }
        // What the thread has found out.
        void answer(std::uint64_t number, const std::string &word)
        {
            const auto found = waiting_.find(number);
            if (found == waiting_.end())
                return; // cancelled
            spoe::pending req = std::move(found->second.req);
            waiting_.erase(found);
            if (word == "lost")
                throw std::runtime_error("lost on the way"); // completes it
            (void)req.set(SPOE_SCOPE_TXN, "said", word);
            (void)req.set(SPOE_SCOPE_TXN, "worker", index_);
            (void)req.set(SPOE_SCOPE_TXN, "own_thread", std::this_thread::get_id() == thread_);
            req.complete();
        }

      private:
        struct waiting {
            std::uint64_t number;
            spoe::pending req;
        };
        errands &all_;
        spoe::mailbox mailbox_;
        std::uint32_t index_;
        std::uint64_t number_ = 0;
        std::map<std::uint64_t, waiting> waiting_;
        const std::thread::id thread_ = std::this_thread::get_id();
    };

  private:
    struct errand {
        spoe::mailbox back;
        worker &from;
        std::uint64_t number;
        std::string word;
        spoe_status run() const
        {
            return back.post([this_ = *this] { this_.from.answer(this_.number, this_.word); });
        }
    };
    void send(errand it)
    {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            queue_.push_back(std::move(it));
        }
        changed_.notify_one();
    }
    void run()
    {
        std::deque<errand> kept;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return ended_ || !queue_.empty(); });
            if (queue_.empty())
                break;
            errand it = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            if (it.word == "keep")
                kept.push_back(std::move(it));
            else
                (void)it.run();
            lock.lock();
        }
        for (const errand &it : kept)
            host_.log(SPOE_LOG_NOTICE, "post in stop " + std::to_string(it.run()));
    }

    spoe::host host_;
    std::atomic<std::uint64_t> lines_{0};
    std::mutex mutex_; // of all below
    std::condition_variable changed_;
    std::deque<errand> queue_;
    bool ended_ = false;
    std::thread thread_;
};

constexpr spoe::table args{spoe::argument(WORD, "word", SPOE_ACCEPT_STR, "path,bytes(0,64)")};
constexpr spoe::table line_args{
    spoe::argument(TEXT, SPOE_LOG_MESSAGE, SPOE_ACCEPT_STR, "str(ignored)")};
constexpr spoe::table messages{
    spoe::message_of(ERRAND, "errand", "on-frontend-http-request", args, "has an errand run"),
    spoe::message_of(LINE, "errand-line", "on-http-response", line_args, "is counted",
                     SPOE_MESSAGE_FROM_LOG)};
constexpr spoe::table variables{spoe::variable(0, "said", SPOE_SCOPE_TXN, SPOE_ACCEPT_STR),
                                spoe::variable(1, "worker", SPOE_SCOPE_TXN, SPOE_ACCEPT_INT),
                                spoe::variable(2, "own_thread", SPOE_SCOPE_TXN, SPOE_ACCEPT_BOOL)};
constexpr spoe_plugin plugin = spoe::plugin<errands>::describe(
    "errands", "1.0", "has errands run by a thread", messages, nullptr, variables, 1);

} // namespace

const spoe_plugin *spoe_plugin_entry_v1()
{
    return &plugin;
}

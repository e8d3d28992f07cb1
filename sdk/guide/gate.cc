// SPDX-License-Identifier: Apache-2.0
// In C++17: whether an address may come in, by a file of networks and, for those that are in none,
// a service that is asked by UDP. Data that is reloaded, answers that come later from the worker's
// own loop, and how it is. The same in Rust: sdk/rust/examples/gate.rs.
//
// A question is "NUMBER ADDRESS", its answer "NUMBER yes" or "NUMBER no".
#include <arpa/inet.h>
#include <cstring>
#include <fstream>
#include <map>
#include <sys/socket.h>
#include <unistd.h>

#include <spoe/plugin.hpp>

namespace
{

constexpr std::size_t networks_max = 100000, waiting_max = 1000; // what is held has a bound
enum { SRC, ASK = 0 };                                           // the slot; the message
enum { NETWORKS, ALWAYS, SERVICE, PORT };                        // options

class networks // what is built of the file
{
  public:
    explicit networks(std::vector<spoe_prefix> all) : all_(std::move(all))
    {
    }
    bool have(const spoe_value &address) const
    {
        for (const spoe_prefix &prefix : all_)
            if (spoe_prefix_has(&prefix, &address))
                return true;
        return false;
    }

  private:
    std::vector<spoe_prefix> all_;
};

class descriptor
{
  public:
    explicit descriptor(int fd) : fd_(fd)
    {
        if (fd < 0)
            throw spoe::error(SPOE_E_LIMIT, std::strerror(errno));
    }
    descriptor(const descriptor &) = delete;
    ~descriptor()
    {
        (void)close(fd_);
    }
    operator int() const
    {
        return fd_;
    }

  private:
    int fd_;
};

class gate
{
  public:
    gate(spoe::host h, spoe::config cfg)
        : health_(h), always_(cfg.prefixes(ALWAYS)), service_(cfg.address(SERVICE)),
          port_(static_cast<std::uint16_t>(cfg.integer(PORT))),
          patience_(cfg.timeout(ASK).value_or(std::chrono::seconds(1)) / 2),
          path_(cfg.text(NETWORKS)),
          networks_(cfg, {"networks", {path_}, true}, [this](const auto &) { return read(); })
    {
    }
    void check() // spoe-host -t reads the file, too
    {
        (void)networks_.try_build();
    }

    class worker
    {
      public:
        worker(gate &all, spoe::loop &on, std::uint32_t)
            : all_(all), on_(on), socket_(all.connect()), watch_(on, socket_, [this] { hear(); }),
              timer_(on, [this] { give_up(); })
        {
            if (watch_.events(SPOE_LOOP_READ) != SPOE_OK)
                throw spoe::error(SPOE_E_LIMIT, "the service's socket cannot be watched");
        }
        spoe_status handle(spoe::request &req, spoe::message msg)
        {
            const spoe_value src = msg.slot(SRC);
            char text[INET6_ADDRSTRLEN] = "";
            const networks *const known = all_.networks_.get(); // good until we return
            if (all_.always_.have(src) || (known != nullptr && known->have(src)))
                return req.set(SPOE_SCOPE_TXN, "allowed", true);
            (void)inet_ntop(src.type == SPOE_T_IPV4 ? AF_INET : AF_INET6, src.u.ip6, text,
                            sizeof text);
            const std::string question = std::to_string(++asked_) + " " + text;
            (void)req.set(SPOE_SCOPE_TXN, "allowed", false); // until the service says yes
            if (waiting_.size() == waiting_max ||
                send(socket_, question.data(), question.size(), 0) < 0)
                return SPOE_OK;
            (void)req.commit(); // the answer, should the deadline come first
            const auto until = on_.at(all_.patience_);
            waiting_.emplace(asked_, waiting{req.defer(), until});
            return waiting_.size() == 1 ? timer_.at(until) : SPOE_OK;
        }

      private:
        struct waiting {
            spoe::pending req;
            std::int64_t until;
        };
        void hear()
        {
            char text[64];
            ssize_t n;
            while ((n = recv(socket_, text, sizeof text - 1, 0)) >= 0) {
                text[n] = '\0';
                char *verdict = nullptr;
                const auto found = waiting_.find(std::strtoull(text, &verdict, 10));
                if (found == waiting_.end())
                    continue; // too late, or no answer to anything
                (void)found->second.req.set(SPOE_SCOPE_TXN, "allowed",
                                            std::strcmp(verdict, " yes") == 0);
                found->second.req.complete();
                waiting_.erase(found);
                all_.health_.ready();
            }
        }
        void give_up() // those first that wait longest
        {
            while (!waiting_.empty() && waiting_.begin()->second.until <= on_.at({})) {
                waiting_.begin()->second.req.complete(); // as it is: no
                waiting_.erase(waiting_.begin());
                all_.health_.degraded("the service does not answer");
            }
            if (!waiting_.empty())
                (void)timer_.at(waiting_.begin()->second.until);
        }
        gate &all_;
        spoe::loop &on_;
        std::uint64_t asked_ = 0;
        std::map<std::uint64_t, waiting> waiting_;
        descriptor socket_; // closed after its watch has ended
        spoe::watch watch_;
        spoe::timer timer_;
    };

  private:
    int connect() const
    {
        const int fd = socket(service_->type == SPOE_T_IPV4 ? AF_INET : AF_INET6,
                              SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            return fd; // errno says why
        sockaddr_in to4 = {};
        sockaddr_in6 to6 = {};
        to4.sin_family = AF_INET;
        to6.sin6_family = AF_INET6;
        to4.sin_port = to6.sin6_port = htons(port_);
        std::memcpy(&to4.sin_addr, service_->u.ip4, sizeof to4.sin_addr);
        std::memcpy(&to6.sin6_addr, service_->u.ip6, sizeof to6.sin6_addr);
        if (service_->type == SPOE_T_IPV4)
            (void)::connect(fd, reinterpret_cast<sockaddr *>(&to4), sizeof to4);
        else
            (void)::connect(fd, reinterpret_cast<sockaddr *>(&to6), sizeof to6);
        return fd;
    }
    std::unique_ptr<networks> read() const // on a thread of the host's own, which may block
    {
        std::vector<spoe_prefix> all;
        std::ifstream file(path_);
        std::string line;
        for (std::size_t n = 1; std::getline(file, line); n++) {
            spoe_prefix prefix;
            if (line.empty() || line[0] == '#')
                continue;
            if (all.size() == networks_max || spoe_prefix_parse(spoe::span(line), &prefix) != 1)
                throw spoe::error(SPOE_E_INVAL,
                                  path_ + ":" + std::to_string(n) + ": no network, or too many");
            all.push_back(prefix);
        }
        if (!file.eof())
            throw spoe::error(SPOE_E_INVAL, path_ + ": cannot be read");
        health_.status(std::to_string(all.size()) + " networks");
        return std::make_unique<networks>(std::move(all));
    }
    spoe::health health_;
    networks always_;
    std::optional<spoe_value> service_;
    std::uint16_t port_;
    std::chrono::nanoseconds patience_;
    std::string path_;
    spoe::reload<networks> networks_;
};

constexpr spoe::table args{
    spoe::argument(SRC, "src", SPOE_ACCEPT_IP, "src", SPOE_ARG_REQUIRED, "who comes")};
constexpr spoe::table messages{
    spoe::message_of(ASK, "gate", "on-frontend-http-request", args, "a request")};
constexpr spoe::table variables{spoe::variable(0, "allowed", SPOE_SCOPE_TXN, SPOE_ACCEPT_BOOL,
                                               "a network has it, or the service says so")};
constexpr auto port_option()
{
    auto option = spoe::option(PORT, "port", SPOE_OPT_INT, nullptr, "the service's UDP port",
                               SPOE_OPTION_REQUIRED);
    option.decl.min = 1;
    option.decl.max = 65535;
    return option;
}
constexpr spoe::table options{
    spoe::option(NETWORKS, "networks", SPOE_OPT_PATH, nullptr, "a file, one network a line",
                 SPOE_OPTION_REQUIRED),
    spoe::option(ALWAYS, "always", SPOE_OPT_PREFIX, nullptr, "networks that may always come in",
                 SPOE_OPTION_LIST),
    spoe::option(SERVICE, "service", SPOE_OPT_ADDRESS, "127.0.0.1", "who is asked"), port_option()};
constexpr spoe_plugin plugin = spoe::plugin<gate>::describe(
    "gate", "1.0", "asks who may come in", messages, options, variables, 1, SPOE_PLUGIN_INSTANCES);

} // namespace

const spoe_plugin *spoe_plugin_entry_v1()
{
    return &plugin;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/views.hpp - what a plugin in C++17 is handed: the host, options, messages, requests. Header
 * only, no part of the ABI; spoe/plugin.hpp includes it. Since 1.1.
 */
#ifndef SPOE_VIEWS_HPP
#define SPOE_VIEWS_HPP

#if __cplusplus < 201703L
#error "spoe/plugin.hpp needs C++17"
#endif

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <spoe/options.h>
#include <spoe/util.h>

namespace spoe
{

inline std::string_view view(spoe_span s) noexcept
{
    return s.n > 0 ? std::string_view(s.p, s.n) : std::string_view();
}

inline spoe_span span(std::string_view s) noexcept
{
    spoe_span span;
    span.p = s.data();
    span.n = s.size();
    return span;
}

/* To be thrown: what the host is answered, and a line for its log. */
class error : public std::exception
{
  public:
    error(spoe_status status, std::string text) : status_(status), text_(std::move(text))
    {
    }
    spoe_status status() const noexcept
    {
        return status_;
    }
    const char *what() const noexcept override
    {
        return text_.c_str();
    }

  private:
    spoe_status status_;
    std::string text_;
};

/* ---- what the host hands over: views, to be copied freely -------------------------------- */

class host
{
  public:
    host(const spoe_host *table, spoe_instance *self) noexcept : table_(table), self_(self)
    {
    }
    const spoe_host *table() const noexcept
    {
        return table_;
    }
    spoe_instance *self() const noexcept
    {
        return self_;
    }
    std::int64_t now_mono_ns() const noexcept
    {
        return table_->now_mono_ns();
    }
    /* A facet, or NULL: host.extension<spoe_metrics>(SPOE_METRICS_1). */
    template <class Table> const Table *extension(const char *id) const noexcept
    {
        return static_cast<const Table *>(table_->get_extension(self_, id));
    }
    /* What answer::set_data() has put to a request that is pending, as cancel() is given it:
     * nullptr where nothing was, it is completed, or the host is of 1.0. */
    void *data(spoe_request *req) const noexcept
    {
        return SPOE_HAS(table_, request_data) ? table_->request_data(req) : nullptr;
    }
    bool logs(std::int32_t level) const noexcept
    {
        return table_->log_enabled(self_, level) != 0;
    }
    void log(std::int32_t level, std::string_view text, spoe_request *req = nullptr) const noexcept
    {
        if (logs(level))
            table_->log(self_, req, level, span(text));
    }

  private:
    const spoe_host *table_;
    spoe_instance *self_;
};

namespace detail
{

/* What the host has a pointer to until destroy() has returned. */
using kept = std::vector<std::shared_ptr<void>>;

} // namespace detail

/* Options, by their places; in the constructor and in reconfigure() only. */
class config
{
  public:
    config(spoe::host h, spoe_config *cfg, detail::kept *kept = nullptr) noexcept
        : host_(h), table_(h.table()), cfg_(cfg), kept_(kept)
    {
    }
    /* The host that they are of. */
    spoe::host host() const noexcept
    {
        return host_;
    }
    bool is_set(std::size_t i) const noexcept
    {
        return spoe_config_is_set(table_, cfg_, i) != 0;
    }
    bool boolean(std::size_t i) const noexcept
    {
        return spoe_config_bool(table_, cfg_, i) != 0;
    }
    std::int64_t integer(std::size_t i) const noexcept
    {
        return spoe_config_int(table_, cfg_, i);
    }
    std::chrono::nanoseconds duration(std::size_t i) const noexcept
    {
        return std::chrono::nanoseconds(integer(i));
    }
    std::uint64_t size(std::size_t i) const noexcept
    {
        return spoe_config_size(table_, cfg_, i);
    }
    std::uint32_t choice(std::size_t i) const noexcept
    {
        return spoe_config_choice(table_, cfg_, i);
    }
    /* Of a text, a path, a URL, a secret or, with its commas, a list. */
    std::string_view text(std::size_t i) const noexcept
    {
        return view(spoe_config_str(table_, cfg_, i));
    }
    /* Of SPOE_OPT_ADDRESS; its type says which. */
    std::optional<spoe_value> address(std::size_t i) const noexcept
    {
        const spoe_setting *const found = setting(i);
        if (found == nullptr ||
            (found->value.type != SPOE_T_IPV4 && found->value.type != SPOE_T_IPV6))
            return std::nullopt;
        return found->value;
    }
    /* Of SPOE_OPT_PREFIX, for spoe_prefix_has(). */
    std::optional<spoe_prefix> prefix(std::size_t i) const noexcept
    {
        spoe_prefix found;
        if (spoe_prefix_parse(spoe_config_str(table_, cfg_, i), &found) != 1)
            return std::nullopt;
        return found;
    }
    /* Of SPOE_OPT_URL: views into its text. */
    std::optional<spoe_url> url(std::size_t i) const noexcept
    {
        spoe_url found;
        if (spoe_url_split(spoe_config_str(table_, cfg_, i), &found) != 1)
            return std::nullopt;
        return found;
    }
    /* The items of an option with SPOE_OPTION_LIST; of addresses and of prefixes typed. */
    std::vector<std::string_view> list(std::size_t i) const
    {
        std::vector<std::string_view> items;
        spoe_span rest = spoe_config_str(table_, cfg_, i), item;
        while (spoe_list_next(&rest, &item))
            items.push_back(view(item));
        return items;
    }
    std::vector<spoe_value> addresses(std::size_t i) const
    {
        std::vector<spoe_value> items;
        spoe_value found;
        for (const std::string_view item : list(i))
            if (spoe_address_parse(span(item), &found))
                items.push_back(found);
        return items;
    }
    std::vector<spoe_prefix> prefixes(std::size_t i) const
    {
        std::vector<spoe_prefix> items;
        spoe_prefix found;
        for (const std::string_view item : list(i))
            if (spoe_prefix_parse(span(item), &found) == 1)
                items.push_back(found);
        return items;
    }
    /* How long HAProxy's side of a message waits at most: what is asked elsewhere should take less.
     * Nothing where there is no such message, or the host is of 1.0. */
    std::optional<std::chrono::nanoseconds> timeout(std::size_t message) const noexcept
    {
        const std::int64_t ns = SPOE_HAS(table_, config_timeout_ns)
                                    ? table_->config_timeout_ns(cfg_, message)
                                    : std::int64_t{-1};
        return ns >= 0 ? std::optional<std::chrono::nanoseconds>(ns) : std::nullopt;
    }
    const spoe_setting *setting(std::size_t i) const noexcept
    {
        return table_->config_get(cfg_, i);
    }
    /* Report it; then throw spoe::error(SPOE_E_CONFIG, ...). */
    void report(std::size_t i, std::string_view text) const noexcept
    {
        table_->config_error(cfg_, i, span(text));
    }

  private:
    template <class State> friend class reload;
    spoe::host host_;
    const spoe_host *table_;
    spoe_config *cfg_;
    detail::kept *kept_; /* in the constructor */
};

class message
{
  public:
    explicit message(const spoe_message *msg) noexcept : msg_(msg)
    {
    }
    const spoe_message *raw() const noexcept
    {
        return msg_;
    }
    std::uint32_t index() const noexcept
    {
        return msg_->index;
    }
    spoe_value slot(std::uint32_t i) const noexcept
    {
        return spoe_slot(msg_, i);
    }
    bool has(std::uint32_t i) const noexcept
    {
        return slot(i).type != SPOE_T_NULL;
    }
    /* Text or bytes; empty where there are none. They live as long as the request. */
    std::string_view text(std::uint32_t i) const noexcept
    {
        return view(spoe_slot_str(msg_, i));
    }
    std::optional<std::int64_t> integer(std::uint32_t i) const noexcept
    {
        const spoe_value v = slot(i);
        std::int64_t n = 0;
        return spoe_get_int(&v, &n) ? std::optional<std::int64_t>(n) : std::nullopt;
    }

  private:
    const spoe_message *msg_;
};

/* What sets variables: a request while handle() runs, and one that is pending. */
class answer
{
  public:
    spoe_status set(std::uint32_t scope, std::string_view name, const spoe_value &v) const noexcept
    {
        return host_.table()->set_var(req_, scope, span(name), &v);
    }
    spoe_status set(std::uint32_t scope, std::string_view name, bool b) const noexcept
    {
        return set(scope, name, spoe_value_bool(b));
    }
    template <class Int,
              std::enable_if_t<std::is_integral_v<Int> && !std::is_same_v<Int, bool>, int> = 0>
    spoe_status set(std::uint32_t scope, std::string_view name, Int i) const noexcept
    {
        return set(scope, name, spoe_value_int(static_cast<std::int64_t>(i)));
    }
    spoe_status set(std::uint32_t scope, std::string_view name, std::string_view s) const noexcept
    {
        return set(scope, name, spoe_value_str(span(s)));
    }
    spoe_status set(std::uint32_t scope, std::string_view name, const char *s) const noexcept
    {
        return set(scope, name, std::string_view(s));
    }
    /* What would become a bool on its way, or a text of no bytes: convert it yourself. */
    template <class T, std::enable_if_t<
                           std::is_floating_point_v<T> || std::is_enum_v<T> ||
                               std::is_null_pointer_v<T> || std::is_member_pointer_v<T> ||
                               (std::is_pointer_v<T> &&
                                !std::is_same_v<std::remove_cv_t<std::remove_pointer_t<T>>, char>),
                           int> = 0>
    spoe_status set(std::uint32_t scope, std::string_view name, T other) const = delete;
    spoe_status unset(std::uint32_t scope, std::string_view name) const noexcept
    {
        return host_.table()->unset_var(req_, scope, span(name));
    }
    /* What is set so far is the answer if the deadline comes first: so a plugin fails closed.
     * SPOE_E_UNSUPPORTED in a host of 1.0. */
    spoe_status commit() const noexcept
    {
        const spoe_host *const table = host_.table();
        return SPOE_HAS(table, request_commit) ? table->request_commit(req_)
                                               : static_cast<spoe_status>(SPOE_E_UNSUPPORTED);
    }
    /* A pointer of the plugin's, which cancel() finds by host::data() until the request is
     * completed. What it leads to is there as long as cancel() may read it, also where another
     * thread completes the request meanwhile. SPOE_E_UNSUPPORTED in a host of 1.0. */
    spoe_status set_data(void *data) const noexcept
    {
        const spoe_host *const table = host_.table();
        return SPOE_HAS(table, request_set_data) ? table->request_set_data(req_, data)
                                                 : static_cast<spoe_status>(SPOE_E_UNSUPPORTED);
    }
    void log(std::int32_t level, std::string_view text) const noexcept
    {
        host_.log(level, text, req_);
    }
    spoe_request *raw() const noexcept
    {
        return req_;
    }

  protected:
    answer(host h, spoe_request *req) noexcept : host_(h), req_(req)
    {
    }
    host host_;
    spoe_request *req_;
};

/* A request that is answered later. It is completed once, whatever happens: where nobody does it,
 * by the destructor, with an error. To be moved to whoever answers; may be on any thread. */
class pending : public answer
{
  public:
    pending(host h, spoe_request *req) noexcept : answer(h, req)
    {
    }
    pending(pending &&other) noexcept : answer(other.host_, std::exchange(other.req_, nullptr))
    {
    }
    pending &operator=(pending &&other) noexcept
    {
        if (this != &other) {
            complete(SPOE_E_INTERNAL);
            host_ = other.host_;
            req_ = std::exchange(other.req_, nullptr);
        }
        return *this;
    }
    pending(const pending &) = delete;
    pending &operator=(const pending &) = delete;
    ~pending()
    {
        complete(SPOE_E_INTERNAL);
    }
    /* The variables are for HAProxy, or with an error are not. No set() after it. */
    void complete(spoe_status status = SPOE_OK) noexcept
    {
        if (req_ != nullptr)
            host_.table()->complete(std::exchange(req_, nullptr), status);
    }
    explicit operator bool() const noexcept
    {
        return req_ != nullptr;
    }
};

/* A request while handle() runs. */
class request : public answer
{
  public:
    request(host h, spoe_request *req) noexcept : answer(h, req)
    {
    }
    request(const request &) = delete;
    request &operator=(const request &) = delete;
    /* Answer it later: handle() gives SPOE_PENDING then, whatever it returns. Once. */
    pending defer() noexcept
    {
        deferred_ = true;
        return pending(host_, req_);
    }
    bool deferred() const noexcept
    {
        return deferred_;
    }

  private:
    bool deferred_ = false;
};

namespace detail
{

/* Run what is the plugin's. @return its status, or that of what it threw, which is logged */
template <class Fn> spoe_status guard(const host &h, const char *where, Fn &&fn) noexcept
{
    const char *what = nullptr;
    spoe_status status = SPOE_E_INTERNAL;
    try {
        if constexpr (std::is_void_v<decltype(fn())>) {
            fn();
            return SPOE_OK;
        } else {
            return fn();
        }
    } catch (const error &e) {
        status = e.status() < 0 ? e.status() : SPOE_E_INTERNAL;
        spoe_logf(h.table(), h.self(), SPOE_LOG_ERR, "%s: %s", where, e.what());
        return status;
    } catch (const std::bad_alloc &) {
        status = SPOE_E_NOMEM;
        what = "out of memory";
    } catch (const std::exception &e) {
        spoe_logf(h.table(), h.self(), SPOE_LOG_ERR, "%s: %s", where, e.what());
        return status;
    } catch (...) {
        what = "something was thrown that is no std::exception";
    }
    spoe_logf(h.table(), h.self(), SPOE_LOG_ERR, "%s: %s", where, what);
    return status;
}

} // namespace detail

} // namespace spoe

#endif
